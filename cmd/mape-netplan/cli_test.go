package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the commands print to testdata/*.txtar")

// TestMain makes the test binary the programs that the scripts run.
func TestMain(m *testing.M) {
	syscall.Umask(0o022) // The scripts compare modes.
	testscript.Main(m, map[string]func(){
		"mape-netplan": main,
		"code":         code,
		"nobody":       nobody,
		"chown-root":   func() { fail(os.Chown(os.Args[1], 0, 0)) },
		"chown-tree":   chownTree,
		"tree":         tree,
	})
}

// TestCLI runs testdata/*.txtar: the program as users see it. As root the scripts never change the machine: what they
// apply is below a directory, or they run as the user nobody.
func TestCLI(t *testing.T) {
	work := t.TempDir()
	// t.TempDir is for its owner only, and the user nobody needs the files of the scripts.
	for _, dir := range []string{filepath.Dir(work), work} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		WorkdirRoot:         work,
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Condition:           condition,
		Setup: func(env *testscript.Env) error {
			examples, err := filepath.Abs("../../examples")
			env.Setenv("EXAMPLES", examples)
			return err
		},
	})
}

func condition(name string) (bool, error) {
	if name == "root" {
		return os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// code N COMMAND… succeeds when the command exits with N: testscript itself only tells 0 from the rest.
func code() {
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		fail(err)
	}
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != os.Args[1] {
		fail(fmt.Errorf("exit code %s, want %s", got, os.Args[1]))
	}
}

const nobodyID = 65534

// nobody PROGRAM… runs one of the programs without privileges.
func nobody() {
	if os.Geteuid() == 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobodyID), syscall.Setuid(nobodyID)); err != nil {
			fail(err)
		}
	}
	// The binary lies in a directory that only its owner may enter.
	fail(syscall.Exec("/proc/self/exe", os.Args[1:], os.Environ()))
}

// chown-tree DIR gives everything below a directory to the user nobody, who could not write there otherwise.
func chownTree() {
	fail(filepath.WalkDir(os.Args[1], func(name string, _ fs.DirEntry, err error) error {
		if err != nil || os.Geteuid() != 0 {
			return err
		}
		return os.Chown(name, nobodyID, nobodyID)
	}))
}

// tree DIR prints every directory and file below one, with modes and contents.
func tree() {
	err := filepath.WalkDir(os.Args[1], func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == os.Args[1] {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		shown := strings.TrimPrefix(name, os.Args[1])
		if !info.Mode().IsRegular() {
			fmt.Println(shown, info.Mode())
			return nil
		}
		fmt.Println(shown, info.Mode(), ":")
		data, err := os.ReadFile(name)
		os.Stdout.Write(data)
		return err
	})
	fail(err)
}

// fail ends a program that is done, or has failed.
func fail(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
