package main

import (
	"strings"
	"testing"
	"time"
)

func TestSuite(t *testing.T) {
	var out strings.Builder
	s := newSuite(&out)
	s.read(strings.NewReader(`{"Action":"build-output","ImportPath":"esignhooks/c","Output":"c.go:1: no such thing\n"}
{"Action":"output","Package":"esignhooks/a","Test":"TestGood","Output":"quiet\n"}
{"Action":"pass","Package":"esignhooks/a","Test":"TestGood","Elapsed":1}
{"Action":"output","Package":"esignhooks/a","Test":"TestSlow","Output":"    a_test.go:7: slow: another target\n"}
{"Action":"output","Package":"esignhooks/a","Test":"TestSlow","Output":"--- SKIP: TestSlow (0.00s)\n"}
{"Action":"skip","Package":"esignhooks/a","Test":"TestSlow","Elapsed":0}
{"Action":"pass","Package":"esignhooks/a","Elapsed":1.25}
{"Action":"output","Package":"esignhooks/b","Test":"TestBad","Output":"    b_test.go:9: wrong\n"}
{"Action":"fail","Package":"esignhooks/b","Test":"TestBad","Elapsed":0}
{"Action":"output","Package":"esignhooks/b","Test":"TestHangs","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"esignhooks/b","Elapsed":2}
{"Action":"fail","Package":"esignhooks/c","Elapsed":0}
{"Action":"skip","Package":"esignhooks/d","Elapsed":0}
not JSON`))
	want := `c.go:1: no such thing
ok   a 1.2s
    b_test.go:9: wrong
panic: test timed out
FAIL b
FAIL c
not JSON`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
	const total = "1 passed, 2 failed, 1 skipped in 1m2s: 1 × slow: another target"
	if got := s.total(62 * time.Second); got != total {
		t.Errorf("got %q, want %q", got, total)
	}
}
