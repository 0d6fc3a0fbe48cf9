package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPrinter: nothing that is printed controls a terminal, and the rest is as it was.
func TestPrinter(t *testing.T) {
	for text, want := range map[string]string{
		"OCN バーチャルコネクト　·▁█\t1 %\n": "OCN バーチャルコネクト　·▁█\t1 %\n",
		"eth0\x1b[2J\x07\r":       `eth0\u001b[2J\u0007\u000d`,
		"a\u009b31m\u202eb\u2028": `a\u009b31m\u202eb\u2028`,
		"\xff\xc0eth\xe3\x81":     `\xff\xc0eth\xe3\x81`,
	} {
		var b strings.Builder
		if n, err := (&printer{Writer: &b}).Write([]byte(text)); n != len(text) || err != nil || b.String() != want {
			t.Errorf("%q: %q, %d, %v, want %q", text, b.String(), n, err, want)
		}
	}
}

// stubborn is a program that does not end with its first signal.
func stubborn() {
	ctx := untilSignal()
	fmt.Println("waits")
	<-ctx.Done()
	fmt.Println("goes on")
	time.Sleep(time.Hour)
}

// TestSecondSignal: the second signal ends the program, whatever it waits for.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		cmd := &exec.Cmd{Path: self, Args: []string{"stubborn"}, Stderr: os.Stderr}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(out)
		for _, want := range []string{"waits", "goes on"} {
			if !said.Scan() || said.Text() != want {
				t.Fatalf("it says %q, want %q: %v", said.Text(), want, said.Err())
			}
			// After the first, the program stops handling signals a moment later.
			for range 100 {
				if cmd.Process.Signal(signal); want == "waits" {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		var ended *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != signal {
			t.Errorf("after a second %v: %v", signal, err)
		}
	}
}
