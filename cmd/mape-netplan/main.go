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

// A counter counts what is written.
type counter struct {
	io.Writer
	bytes int
}

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += len(p)
	return c.Writer.Write(p)
}

// run is the whole program, with its inputs and outputs as parameters.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	return newOptions(in).run(ctx, args, out, errs)
}

func (o *options) run(ctx context.Context, args []string, out, errs io.Writer) int {
	root := o.root()
	printed := &counter{Writer: out}
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
		_ = encode(out, struct {
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
