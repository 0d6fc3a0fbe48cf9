package nat

// What external tests look at.
const (
	PartSize  = partSize
	MaxMapped = maxMapped
)

var (
	NewPool = newPool
	Inverse = inverse
)

func (p Pool) Real() map[uint16]uint16 { return p.real }

func (p Pool) Permuted() bool { return p.permuted() }

// Most is how many connections a destination has before the pool is used in parts.
func (p Pool) Most() uint32 { return natTable{Pool: p}.most() }
