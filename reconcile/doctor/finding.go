package doctor

import "fmt"

// A State is the result of a check.
type State string

const (
	OK      State = "ok"
	Warn    State = "warn" // it works, but there is something to know
	Bad     State = "bad"
	Skipped State = "skipped"
)

// A Finding is the result of one check and its reasons.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Seen  string `json:"seen"`
	// Diagnosis and Advice are a sentence each, where there is something to say.
	Diagnosis string `json:"diagnosis,omitempty"`
	Advice    string `json:"advice,omitempty"`
}

func good(format string, args ...any) Finding {
	return Finding{State: OK, Seen: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) Finding {
	return Finding{State: Skipped, Seen: fmt.Sprintf(format, args...)}
}

func bad(seen, diagnosis, advice string) Finding { return Finding{"", Bad, seen, diagnosis, advice} }

func warning(seen, diagnosis, advice string) Finding {
	return Finding{"", Warn, seen, diagnosis, advice}
}
