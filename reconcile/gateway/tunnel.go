package gateway

// hopLimit is the outer hop limit that networkd gives an ip6tnl by default.
const hopLimit = 64
