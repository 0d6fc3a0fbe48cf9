package symptom

import "testing"

// TestCountSince: a tunnel that is created again while it is watched counts from 0.
func TestCountSince(t *testing.T) {
	for _, test := range []struct{ now, first, want Count }{
		{Count{12, 9}, Count{10, 9}, Count{2, 0}},
		{Count{3, 1}, Count{10, 9}, Count{3, 1}},
		{Count{3, 20}, Count{10, 9}, Count{3, 11}},
	} {
		if got := test.now.since(test.first); got != test.want {
			t.Errorf("%v since %v is %v, want %v", test.now, test.first, got, test.want)
		}
	}
}
