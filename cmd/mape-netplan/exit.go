package main

// The exit codes, as mape-netplan(8) and --help list them.
const (
	exitFailed  = 1
	exitBad     = 2 // the section or the command line
	exitDiffers = 3 // plan or install --dry-run found differences
)

// exit is an error with an exit code. Without an error inside, nothing is
// printed.
type exit struct {
	code int
	error
}

func (e exit) Unwrap() error { return e.error }
