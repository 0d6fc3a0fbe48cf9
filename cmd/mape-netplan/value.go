package main

import (
	"errors"
	"fmt"
	"strconv"
)

// A word is the text value of a flag, with its name in the help. pflag also finds
// the name in backquotes in the description, but completion would show them.
type word struct {
	*string
	name string
}

// Set refuses an empty word, which is usually an unset variable of a script: if
// --root-dir "" counted as a missing flag, the running system would be changed.
func (w word) Set(s string) error {
	if s == "" {
		return fmt.Errorf("is empty; write %s, or leave the flag out", w.name)
	}
	*w.string = s
	return nil
}

func (w word) String() string { return *w.string }
func (w word) Type() string   { return w.name }

// An amount is the value of a flag that takes a number.
type amount struct{ *int }

func (a amount) Set(s string) (err error) {
	if *a.int, err = strconv.Atoi(s); err != nil {
		return errors.New("must be a whole number")
	}
	return nil
}

func (a amount) String() string { return strconv.Itoa(*a.int) }
func (amount) Type() string     { return "N" }
