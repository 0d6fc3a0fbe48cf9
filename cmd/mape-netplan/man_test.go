package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

//go:generate go test -run Manual . -update

// generated are the lines of the manual page that are made from the commands.
var generated = regexp.MustCompile(`(?s)(\n\.\\" generated: [^\n]*\n).*?(\.\\" end\n)`)

// TestManual compares mape-netplan(8) with the commands and their flags, as --help has them.
func TestManual(t *testing.T) {
	const name = "man/mape-netplan.8"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(generated.FindAll(page, -1)); n != 1 {
		t.Fatalf("%s has %d places for the commands", name, n)
	}
	want := generated.ReplaceAllFunc(page, func(old []byte) []byte {
		m := generated.FindSubmatch(old)
		return append(append(m[1], commands()...), m[2]...)
	})
	if *update {
		err = os.WriteFile(name, want, 0o644)
	} else if !bytes.Equal(page, want) {
		t.Errorf("%s differs from the commands; run \"go generate ./cmd/mape-netplan\"", name)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// commands describes the commands in the macros of man(7), by their names.
func commands() []byte {
	root := newOptions(nil).root()
	addCompletion(root)
	var b bytes.Buffer
	for _, c := range root.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		fmt.Fprintf(&b, ".SS %s\n", roff(c.Name()))
		paragraphs := c.Long
		if paragraphs == "" || c.HasSubCommands() { // Cobra's own are long.
			paragraphs = c.Short + "."
		}
		for i, p := range strings.Split(paragraphs, "\n\n") {
			if i > 0 {
				b.WriteString(".PP\n")
			}
			fmt.Fprintf(&b, "%s\n", roff(strings.ReplaceAll(p, "\n", " ")))
		}
		if c.HasSubCommands() {
			for _, sub := range c.Commands() {
				fmt.Fprintf(&b, ".TP\n.B %s %s\n%s.\n", roff(c.Name()), roff(sub.Name()), roff(sub.Short))
			}
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { b.WriteString(flagText(f)) })
		if c.Example != "" {
			fmt.Fprintf(&b, ".PP\nExample:\n.PP\n.EX\n%s\n.EE\n", roff(c.Example))
		}
	}
	b.WriteString(".SH OPTIONS\n")
	root.InitDefaultHelpFlag()
	root.Flags().VisitAll(func(f *pflag.Flag) { b.WriteString(flagText(f)) })
	return b.Bytes()
}

func flagText(f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	names := fmt.Sprintf(`\fB\-\-%s\fR`, roff(f.Name))
	if f.Shorthand != "" {
		names = fmt.Sprintf(`\fB\-%s\fR, %s`, f.Shorthand, names)
	}
	if value != "" {
		names += fmt.Sprintf(` \fI%s\fR`, roff(value))
	}
	if f.Value.Type() == "duration" {
		usage += " (default " + f.DefValue + ")"
	}
	return fmt.Sprintf(".TP\n%s\n%s\n", names, roff(usage))
}

// roff escapes text. A line that begins with a dot or an apostrophe would be a request.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "–", `\(en`, "…", `\&...`).Replace(s)
	return regexp.MustCompile(`(?m)^[.']`).ReplaceAllString(s, `\&$0`)
}

// TestManualNames: the page names every command and flag.
func TestManualNames(t *testing.T) {
	data, err := os.ReadFile("man/mape-netplan.8")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(string(data), `\-`, "-")
	root := newOptions(nil).root()
	addCompletion(root)
	for _, c := range append(root.Commands(), root) {
		if c != root && !strings.Contains(page, "\n.SS "+c.Name()+"\n") {
			t.Errorf("the command %s is not described", c.Name())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(page, `\fB--`+f.Name+`\fR`) {
				t.Errorf("the flag --%s of %s is not described", f.Name, c.Name())
			}
		})
	}
}

// TestManualFormat has groff read every page, with all its warnings.
func TestManualFormat(t *testing.T) {
	pages, err := filepath.Glob("man/*.[0-9]")
	if err != nil || len(pages) < 3 {
		t.Fatalf("%v, %v", pages, err)
	}
	if _, err := exec.LookPath("groff"); err != nil {
		if os.Getenv("MAPE_CI") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for _, page := range pages {
		out, err := exec.Command("groff", "-man", "-ww", "-z", "-Tutf8", page).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", page, err, out)
		}
	}
}

// TestManualMessages: every message of mape-netplan-messages(7) is one of the program's.
func TestManualMessages(t *testing.T) {
	page, err := os.ReadFile("man/mape-netplan-messages.7")
	if err != nil {
		t.Fatal(err)
	}
	_, messages, _ := strings.Cut(string(page), ".SH MESSAGES\n")
	messages, _, _ = strings.Cut(messages, ".SH ")
	var code strings.Builder
	err = filepath.WalkDir("../..", func(name string, _ fs.DirEntry, err error) error {
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		code.Write(regexp.MustCompile(`" \+\s*"`).ReplaceAll(data, nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	headings := regexp.MustCompile(`(?m)^\.T[PQ]\n\.B "(.+)"$`).FindAllStringSubmatch(messages, -1)
	if len(headings) != strings.Count(messages, ".TP\n")+strings.Count(messages, ".TQ\n") {
		t.Errorf("of %d headings not each is a message", len(headings))
	}
	for _, heading := range headings {
		for _, part := range strings.Split(heading[1], "...") {
			if !strings.Contains(code.String(), strings.TrimSuffix(part, "/etc/netplan/")) {
				t.Errorf("no message has %q in it", part)
			}
		}
	}
}
