// Package advice has the error that carries its remedy.
package advice

// An Advice is an error and its remedy, which a caller may show separately.
type Advice struct {
	What string // "is not a netplan file"
	Do   string // `run "netplan generate" to see what is wrong with it`
}

func (a Advice) Error() string { return a.What + "; " + a.Do }
