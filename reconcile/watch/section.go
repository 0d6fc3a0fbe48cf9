package watch

import (
	"bytes"
	"fmt"
	"strings"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/schema"
)

// The sections are the last valid one and the last proven one, whose line has made a gateway. Of that a copy is kept, which
// is used where the section's file has a mistake at boot.
type sections struct {
	*journal
	host *host.Host

	valid  *schema.Config // the last valid one; nil before the first
	text   []byte         // of it; nil where it is the copy
	proven *schema.Config // the last that made a gateway; nil where none is known
	kept   []byte         // the text of that, once this service has compared it with the copy
}

// load takes the copy of an earlier service.
func (s *sections) load() {
	var err error
	if s.proven, err = facts.LastSection(s.host); err != nil {
		s.log(Warning, fmt.Sprintf("cannot use the copy of the last good section: %v", err))
	}
}

// read replaces the section where the new one is valid.
func (s *sections) read(read func() (*schema.Config, []byte, error)) {
	c, text, err := read()
	if err != nil {
		why := strings.TrimSpace(err.Error())
		if s.valid == nil {
			s.valid = s.proven
		}
		switch {
		case s.valid != nil && s.text == nil:
			why += "\nthe last good section stays in force, a copy of which is in " + facts.SectionPath
		case s.valid != nil:
			why += "\nthe last valid section stays in force"
		}
		s.problem("section", Failure, why)
		return
	}
	s.valid, s.text = c, text
	s.ended("section", "the section is valid again")
	var warnings []string
	for _, p := range c.Warnings {
		warnings = append(warnings, strings.TrimSpace(p.Error()))
	}
	s.warn("section warning: ", warnings)
}

// keep makes the section the last one that has made a gateway, and copies it.
func (s *sections) keep() {
	if bytes.Equal(s.text, s.kept) {
		return
	}
	live, err := s.host.ReadPrivate(facts.SectionPath)
	if err == nil && live != string(s.text) {
		err = s.host.WritePrivate(facts.SectionPath, string(s.text))
	}
	if err != nil {
		s.problem("copy", Warning, fmt.Sprintf("cannot keep a copy of the section for the next boot: %v", err))
		return
	}
	s.ended("copy", "a copy of the section is kept again")
	s.proven, s.kept = s.valid, s.text
}
