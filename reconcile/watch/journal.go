package watch

import (
	"slices"
	"strings"
)

// A Priority is one of syslog's, as sd-daemon(3) prefixes them.
type Priority int

const (
	Failure Priority = 3
	Warning Priority = 4
	Notice  Priority = 5
	Detail  Priority = 6
)

// A journal logs each problem once, until its text changes or it ends.
type journal struct {
	log      func(Priority, string)
	problems map[string]string // the last one logged, by subject
}

func (j *journal) problem(subject string, p Priority, text string) {
	if j.problems[subject] != text {
		j.problems[subject] = text
		j.log(p, text)
	}
}

// forget has the subject's problem logged again when it comes again.
func (j *journal) forget(subject string) { delete(j.problems, subject) }

// ended is forget, and logs the end of a problem that there was.
func (j *journal) ended(subject, text string) {
	if _, ok := j.problems[subject]; ok {
		j.forget(subject)
		j.log(Notice, text)
	}
}

// warn logs those warnings of a kind that are new, and the end of those that are no longer among them.
func (j *journal) warn(kind string, texts []string) {
	for _, text := range texts {
		j.problem(kind+text, Warning, text)
	}
	for subject := range j.problems {
		if text, ok := strings.CutPrefix(subject, kind); ok && !slices.Contains(texts, text) {
			j.ended(subject, "no longer: "+text)
		}
	}
}

// warnings is those of a kind, in order, as parts of one line.
func (j *journal) warnings(kind string) (text string) {
	var subjects []string
	for subject := range j.problems {
		if strings.HasPrefix(subject, kind) {
			subjects = append(subjects, subject)
		}
	}
	slices.Sort(subjects)
	return j.status(subjects...)
}

// status is the problems of some subjects, the first line of each, as parts of one line.
func (j *journal) status(subjects ...string) (text string) {
	for _, subject := range subjects {
		if problem, ok := j.problems[subject]; ok {
			first, _, _ := strings.Cut(problem, "\n")
			text += "; " + first
		}
	}
	return text
}
