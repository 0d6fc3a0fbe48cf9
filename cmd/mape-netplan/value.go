package main

import (
	"errors"
	"fmt"
	"strconv"
)

// A word is the value of a flag that takes one, and what help calls it. pflag
// would find that in backquotes in the description too, and shells would show
// them.
type word struct {
	*string
	name string
}

// Set refuses an empty word: it is a variable of a script that was never set, and
// to take --root-dir "" for a flag that is not given would change the machine.
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
