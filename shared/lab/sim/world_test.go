package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"
)

// fault is what goes wrong in a step.
type fault int

const (
	none       fault = iota
	failBefore       // an error; no effect
	failAfter        // an error, after the effect
	hangBefore       // no answer before the deadline; no effect
	hangAfter        // no answer before the deadline, after the effect
	throttle         // throttled
	late             // the effect is late
	killBefore       // the process dies
	killAfter        // the process dies after the effect
)

var faultNames = [...]string{"", "fails", "happens, fails", "hangs", "happens, hangs", "is throttled", "is late",
	"process dies before", "process dies after"}

// world runs processes one step at a time. At every step all processes wait, and choices decides which one continues
// and what fails. Time is that of a [synctest] bubble: it advances only while all goroutines wait.
type world struct {
	choices *choices
	rate    int  // one step in so many fails; 0 means none
	every   bool // every step chooses whether to crash; there are no other faults
	crashes int  // how many processes may still die
	began   time.Time
	slow    time.Time // until then, all steps are late

	arrivals chan *step
	pending  []*step
	working  sync.WaitGroup // processes and actors
	ended    chan struct{}

	standing sync.Mutex

	mu       sync.Mutex
	trace    []string
	problems []string
}

// actor takes steps: an invocation of a function, which may crash, or AWS itself, which does not.
type actor struct {
	name string
	dead atomic.Bool
}

// step is one access of an actor to the outside world.
type step struct {
	actor   *actor
	name    string
	faults  []fault
	granted chan fault
}

func newWorld(c *choices) *world {
	return &world{choices: c, began: time.Now(), arrivals: make(chan *step, 1000), ended: make(chan struct{})}
}

// schedule grants steps until all actors have ended.
func (w *world) schedule() {
	go func() {
		w.working.Wait()
		close(w.ended)
	}()
	for {
		if len(w.pending) == 0 {
			select { // time advances only here
			case s := <-w.arrivals:
				w.pending = append(w.pending, s)
			case <-w.ended:
				w.bury()
				return
			}
		}
		synctest.Wait()
		for len(w.arrivals) > 0 {
			w.pending = append(w.pending, <-w.arrivals)
		}
		slices.SortStableFunc(w.pending, func(a, b *step) int { // by name, because they arrive in random order
			return cmp.Or(cmp.Compare(a.actor.name, b.actor.name), cmp.Compare(a.name, b.name))
		})
		i := slices.IndexFunc(w.pending, w.alone)
		if i < 0 {
			i = w.choices.choose(len(w.pending))
		}
		s := w.pending[i]
		w.pending = slices.Delete(w.pending, i, i+1)
		f := w.fault(s)
		w.note("%-34s %-60s %s", s.actor.name, s.name, faultNames[f])
		s.granted <- f
		synctest.Wait()
	}
}

// alone reports whether the step shares no state with other steps, so that its order does not matter. When every
// schedule is tried, such a step happens at once.
func (w *world) alone(s *step) bool {
	return w.every && (s.name == "keys" || strings.HasPrefix(s.name, "answer") ||
		strings.HasPrefix(s.actor.name, "publisher"))
}

// bury lets the goroutines of dead processes end.
func (w *world) bury() {
	for synctest.Wait(); len(w.arrivals) > 0; synctest.Wait() {
		(<-w.arrivals).granted <- none
	}
}

func (w *world) fault(s *step) fault {
	w.standing.Lock()
	rate, slow := w.rate, time.Now().Before(w.slow)
	w.standing.Unlock()
	if w.every {
		return w.crash(s)
	}
	if rate > 0 && slow && slices.Contains(s.faults, late) {
		return late
	}
	if rate == 0 || len(s.faults) == 0 || !w.choices.rarely(rate) {
		return none
	}
	f := s.faults[w.choices.choose(len(s.faults))]
	if f == killBefore || f == killAfter {
		if w.crashes == 0 {
			return none
		}
		w.crashes--
	}
	return f
}

// slowDown makes all that can be late late, for a time.
func (w *world) slowDown() { w.slow = time.Now().Add(20 * time.Second) }

// crash chooses at every step whether the process dies, before or after the effect.
func (w *world) crash(s *step) fault {
	if w.crashes == 0 || w.alone(s) || !slices.Contains(s.faults, killAfter) {
		return none
	}
	f := []fault{none, killBefore, killAfter}[w.choices.choose(3)]
	if f != none {
		w.crashes--
	}
	return f
}

var (
	errFault    = errors.New("sim: it failed")
	errThrottle = errors.New("sim: too much at once")
)

type actorKey struct{}

// do takes a step of the process that ctx belongs to. All other actors wait during the effect.
func (w *world) do(ctx context.Context, name string, possible []fault, effect func() error) error {
	p := ctx.Value(actorKey{}).(*actor)
	s := &step{p, name, possible, make(chan fault, 1)}
	w.arrivals <- s
	f := <-s.granted
	if p.dead.Load() {
		runtime.Goexit()
	}
	switch f {
	case failBefore:
		return errFault
	case throttle:
		return errThrottle
	case hangBefore:
		<-ctx.Done()
		return ctx.Err()
	case late:
		select {
		case <-time.After(700 * time.Millisecond):
		case <-ctx.Done(): // the effect happens nevertheless
		}
		return w.do(ctx, name+", at last", nil, effect)
	case killBefore:
		p.dead.Store(true)
		runtime.Goexit()
	}
	w.standing.Lock() // for the race detector
	err := effect()
	w.standing.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch f {
	case failAfter:
		return errFault
	case hangAfter:
		<-ctx.Done()
		return ctx.Err()
	case killAfter:
		p.dead.Store(true)
		runtime.Goexit()
	}
	return err
}

// run runs a process, and reports whether it ended without a crash.
func (w *world) run(name string, timeout time.Duration, body func(context.Context)) (lived bool) {
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), actorKey{}, &actor{name: name}), timeout)
	defer cancel()
	ended := make(chan bool, 1)
	go func() {
		defer func() { ended <- lived }()
		body(ctx)
		lived = true
	}()
	return <-ended
}

// start lets something go on until it is done: a vendor, an event source mapping.
func (w *world) start(body func()) { w.working.Go(body) }

func (w *world) note(format string, arguments ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, fmt.Sprintf("%14s  ",
		time.Since(w.began).Round(time.Millisecond))+strings.TrimRight(fmt.Sprintf(format, arguments...), " "))
}

// problem records that something went wrong that must not, whatever the faults.
func (w *world) problem(format string, arguments ...any) {
	w.mu.Lock()
	w.problems = append(w.problems, fmt.Sprintf(format, arguments...))
	w.mu.Unlock()
	w.note("!! "+format, arguments...)
}
