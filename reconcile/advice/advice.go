// Package advice has the error that says what to do about it.
package advice

// An Advice is an error with what to do about it, which may be said apart.
type Advice struct{ What, Do string }

func (a Advice) Error() string { return a.What + "; " + a.Do }
