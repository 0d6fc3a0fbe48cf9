package cloudinit_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile/line"
	"mape-netplan/schema"
)

const examples = "../examples"

// TestExamples reads every file of examples/, each as what it is: one of a
// kind that is not known here fails.
func TestExamples(t *testing.T) {
	entries, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Fatal("there are none")
	}
	for _, e := range entries {
		if path.Ext(e.Name()) != ".md" {
			t.Run(e.Name(), func(t *testing.T) { example(t, e.Name()) })
		}
	}
}

func example(t *testing.T, name string) {
	data, err := os.ReadFile(filepath.Join(examples, name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	switch {
	case strings.HasPrefix(text, "#!/bin/sh\n"):
		isScript(t, text)
		if name == "proxmox.sh" && !strings.Contains(text, "--cicustom vendor=local:snippets/") {
			t.Error("it gives Proxmox no snippet")
		}
	case path.Ext(name) != ".yaml":
		t.Error("no kind of example that this test knows")
	case strings.HasPrefix(text, "#cloud-config\n"):
		isCloudConfig(t, data)
	case has[map[string]any](data, "mape"):
		isSection(t, name, data)
	case has[map[string]any](data, "config"):
		isNetworkConfig(t, data)
	case has[[]map[string]any](data, "hosts"):
		isPlaybook(t, data)
	default:
		t.Error("no kind of example that this test knows")
	}
}

// has reports whether YAML is of type T, and has the key, in the first of its
// entries where it is a list.
func has[T any](data []byte, key string) bool {
	var v T
	if yaml.Unmarshal(data, &v) != nil {
		return false
	}
	m, ok := any(v).(map[string]any)
	if list, isList := any(v).([]map[string]any); isList && len(list) > 0 {
		m, ok = list[0], true
	}
	_, found := m[key]
	return ok && found
}

func isSection(t *testing.T, name string, data []byte) *schema.Config {
	t.Helper()
	c, err := schema.Parse(name, data)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 {
		t.Error(c.Warnings)
	}
	if err := line.Check(c); err != nil {
		t.Error(err)
	}
	return c
}

// isScript has sh read a script without running it.
func isScript(t *testing.T, text string) {
	t.Helper()
	cmd := exec.Command("sh", "-n")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("sh: %v\n%s", err, out)
	}
}

func isCloudConfig(t *testing.T, data []byte) {
	var config struct {
		WriteFiles []struct{ Path, Content string } `yaml:"write_files"`
		RunCmd     []string                         `yaml:"runcmd"`
		Mape       any                              `yaml:"mape"`
	}
	if err := yaml.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	if config.Mape != nil {
		t.Error("cloud-init knows no key mape and would call the machine degraded")
	}
	section := false
	for _, f := range config.WriteFiles {
		if f.Path != cloudinit.DefaultPath {
			t.Errorf("%s is not known", f.Path)
			continue
		}
		section = true
		isSection(t, f.Path, []byte(f.Content))
	}
	if !section {
		t.Error("it writes no section")
	}
	isScript(t, strings.Join(config.RunCmd, "\n"))
	if n := len(config.RunCmd); n == 0 || !strings.HasPrefix(config.RunCmd[n-1], installed+" install") {
		t.Error("runcmd does not end with install")
	}
}

// installed is where the examples put the program.
const installed = "/usr/local/bin/mape-netplan"

func isNetworkConfig(t *testing.T, data []byte) {
	var network struct {
		Version int
		Config  []struct{ Type, Name string }
	}
	if err := yaml.Unmarshal(data, &network); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range network.Config {
		if c.Type == "physical" {
			names = append(names, c.Name)
		}
	}
	if network.Version != 1 || !slices.Equal(names, []string{"eth0", "eth1"}) {
		t.Errorf("version %d with %v", network.Version, names)
	}
	if strings.Contains(string(data), "gateway:") {
		t.Error("an IPv4 gateway would take the default route from the tunnel")
	}
}

func isPlaybook(t *testing.T, data []byte) {
	type file struct{ Dest, Mode, Content string }
	var plays []struct {
		Tasks []struct {
			Name    string
			Copy    *file  `yaml:"ansible.builtin.copy"`
			Command string `yaml:"ansible.builtin.command"`
			Changed string `yaml:"changed_when"`
		}
	}
	if err := yaml.Unmarshal(data, &plays); err != nil {
		t.Fatal(err)
	}
	var program, section, install bool
	for _, play := range plays {
		for _, task := range play.Tasks {
			switch {
			case task.Copy == nil:
				// Last: the program and the section are there.
				install = program && section && task.Command == installed+" install --json" && strings.Contains(task.Changed, "from_json).changed")
			case task.Copy.Dest == installed:
				program = task.Copy.Mode == "0755"
			case task.Copy.Dest == cloudinit.DefaultPath:
				section = true
				isSection(t, task.Name, []byte(task.Copy.Content))
			default:
				t.Errorf("task %q is not known", task.Name)
			}
		}
	}
	if !install {
		t.Errorf("program: %v, section: %v, install after both: %v", program, section, install)
	}
}
