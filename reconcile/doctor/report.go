package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mape-netplan/reconcile/doctor/symptom"
)

// A Report is the findings with their conclusion.
type Report struct {
	OK        bool             `json:"ok"`
	Diagnosis string           `json:"diagnosis"`
	Advice    string           `json:"advice"`
	Findings  []Finding        `json:"findings"`
	Symptoms  symptom.Symptoms `json:"symptoms"`
}

// Conclude takes diagnosis and advice from the first bad finding, which explains what follows, from any other, and from the
// warnings before these, which may explain them; or, if none is bad, from the first warning.
func Conclude(findings []Finding, s symptom.Symptoms) Report {
	r := Report{OK: true, Findings: findings, Symptoms: s}
	isBad := func(f Finding) bool { return f.State == Bad }
	if first := slices.IndexFunc(findings, isBad); first >= 0 {
		r.OK, r.Diagnosis, r.Advice = false, findings[first].Diagnosis, findings[first].Advice
		for i, f := range findings {
			warns := f.State == Warn && slices.ContainsFunc(findings[i:], isBad)
			if i != first && (isBad(f) || warns) {
				r.Diagnosis, r.Advice = r.Diagnosis+" Also: "+f.Diagnosis, r.Advice+" "+f.Advice
			}
		}
		return r
	}
	for _, f := range findings {
		if f.State == Warn {
			r.Diagnosis, r.Advice = "It works as far as can be seen, but: "+f.Diagnosis, f.Advice
			return r
		}
	}
	switch {
	case s.Probe != nil:
		r.Diagnosis, r.Advice = "The gateway works: servers on the internet answer through the tunnel.", "There is nothing to do."
	case s.Tunnel != nil && s.Tunnel.Total.RX > 0:
		r.Diagnosis, r.Advice = "Nothing is wrong: packets leave through the tunnel and answers come back.",
			`If something still does not work, run "mape-netplan doctor --probe", which sends a few packets and reports the answers.`
	default:
		r.Diagnosis, r.Advice = "Nothing is wrong that can be seen without sending anything.",
			`Run "mape-netplan doctor --probe" to send a few packets through the tunnel and see whether answers come back.`
	}
	return r
}

// marks begin the line of a finding.
var marks = map[State]string{OK: "ok  ", Warn: "warn", Bad: "BAD ", Skipped: "-   "}

// Text is the report for a person: a line for each check down to the one after which the rest are skipped, the diagnosis
// and the advice.
func (r Report) Text() string {
	var b strings.Builder
	for _, f := range r.Findings {
		if f.cause != "" {
			fmt.Fprintf(&b, "-    what comes after it is skipped: %s must pass first\n", f.cause)
			break
		}
		fmt.Fprintf(&b, "%s %s: %s\n", marks[f.State], f.Check, f.Seen)
	}
	fmt.Fprintf(&b, "\nDiagnosis: %s\nAdvice: %s\n", r.Diagnosis, r.Advice)
	return b.String()
}

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

	// apart: it concerns the next boot, and what is wrong now may have another cause.
	apart bool
	// cause is the check for which this one was skipped.
	cause string
}

func good(format string, args ...any) Finding {
	return Finding{State: OK, Seen: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) Finding {
	return Finding{State: Skipped, Seen: fmt.Sprintf(format, args...)}
}

func bad(seen, diagnosis, advice string) Finding {
	return Finding{State: Bad, Seen: seen, Diagnosis: diagnosis, Advice: advice}
}

func warning(seen, diagnosis, advice string) Finding {
	return Finding{State: Warn, Seen: seen, Diagnosis: diagnosis, Advice: advice}
}
