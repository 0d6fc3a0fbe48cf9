package host

import (
	"errors"
	"strings"
)

// A FileError is why a file, or the files of a directory, could not be read or used.
type FileError struct {
	Path string // absolute
	Err  error
}

func (e FileError) Error() string { return e.Path + ": " + e.Err.Error() }

func (e FileError) Unwrap() error { return e.Err }

// Unread is the error of a reader that returns what it could read beside it.
type Unread []FileError

func (u Unread) Error() string {
	var lines []string
	for _, e := range u {
		lines = append(lines, e.Error())
	}
	return strings.Join(lines, "\n")
}

func (u Unread) Unwrap() (all []error) {
	for _, e := range u {
		all = append(all, e)
	}
	return all
}

// Err is u, or nil where everything could be read.
func (u Unread) Err() error {
	if len(u) == 0 {
		return nil
	}
	return u
}

// Add appends what another reader could not read. Any other error is returned.
func (u *Unread) Add(err error) error {
	var more Unread
	if errors.As(err, &more) {
		*u, err = append(*u, more...), nil
	}
	return err
}

// Except is err without the files that the caller can do without, for which skip is true.
func Except(err error, skip func(FileError) bool) error {
	var all, left Unread
	if !errors.As(err, &all) {
		return err
	}
	for _, e := range all {
		if !skip(e) {
			left = append(left, e)
		}
	}
	return left.Err()
}
