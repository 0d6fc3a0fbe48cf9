package watch

import (
	"slices"
	"strings"
)

// warn says what of a kind may be wrong, each when it is new.
func (w *Watch) warn(kind string, texts []string) {
	for _, text := range texts {
		w.complain(kind+text, Warning, text)
	}
	for key := range w.said {
		if text, ok := strings.CutPrefix(key, kind); ok && !slices.Contains(texts, text) {
			delete(w.said, key)
		}
	}
}

// complain logs what is wrong with a thing, once until that changes.
func (w *Watch) complain(thing string, p Priority, text string) {
	if w.said[thing] != text {
		w.said[thing] = text
		w.Log(p, text)
	}
}

// fine says that nothing is wrong with a thing any more.
func (w *Watch) fine(thing string) {
	if _, ok := w.said[thing]; ok {
		delete(w.said, thing)
		if text := recovered[thing]; text != "" {
			w.Log(Notice, text)
		}
	}
}

// recovered is what is said when a thing is right again.
var recovered = map[string]string{
	"look":    "the whole machine can be looked at again",
	"section": "the section is good again",
	"line":    "the line is there",
	"lock":    "the other run has ended",
	"rules":   "the line tells its rules again",
}
