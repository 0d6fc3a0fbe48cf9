package doctor

import "fmt"

// A State is how a check went.
type State string

const (
	OK      State = "ok"
	Warn    State = "warn" // it works, and there is something to know
	Bad     State = "bad"
	Skipped State = "skipped"
)

// A Finding is what one check saw.
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
