// Command mape-netplan makes a Linux machine an IPv4-over-IPv6 gateway (MAP-E)
// from a mape: section of a few lines, and keeps it one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"mape-netplan/schema"
)

func main() {
	// networkd, which is not root, reads our files and those of netplan's generator, whatever root's umask is.
	syscall.Umask(0o022)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // A second signal ends the program at once, whatever it waits for.
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// A printer escapes what controls a terminal: names, files and errors of others are printed.
type printer struct {
	io.Writer
	bytes int // written
}

func (p *printer) Write(b []byte) (int, error) {
	p.bytes += len(b)
	var text []byte
	for rest := b; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && n == 1:
			text = fmt.Appendf(text, `\x%02x`, rest[0])
		case r == '\n' || r == '\t' || unicode.IsGraphic(r):
			text = append(text, rest[:n]...)
		default:
			text = fmt.Appendf(text, `\u%04x`, r)
		}
		rest = rest[n:]
	}
	if _, err := p.Writer.Write(text); err != nil {
		return 0, err
	}
	return len(b), nil
}

// run is the whole program, with its inputs and outputs as parameters.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	return newOptions(in).run(ctx, args, out, errs)
}

func (o *options) run(ctx context.Context, args []string, out, errs io.Writer) int {
	root := o.root()
	printed := &printer{Writer: out}
	errs = &printer{Writer: errs}
	root.SetArgs(args)
	root.SetOut(printed)
	root.SetErr(errs)
	addCompletion(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var e exit
	if errors.As(err, &e) && e.error == nil {
		return e.code
	}
	if asked, _ := root.PersistentFlags().GetBool("json"); asked && printed.bytes == 0 {
		// --json always prints an object.
		_ = encode(printed, struct {
			Error string `json:"error"`
		}{strings.TrimSpace(err.Error())})
	}
	if problems := (schema.Problems)(nil); errors.As(err, &problems) {
		fmt.Fprintln(errs, err)
		return exitBad
	}
	fmt.Fprintf(errs, "mape-netplan: %s\n", strings.TrimSpace(err.Error()))
	if errors.As(err, &e) {
		return e.code
	}
	return exitFailed
}
