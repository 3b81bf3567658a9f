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

// fault is what goes wrong with one step.
type fault int

const (
	none       fault = iota
	failBefore       // an error, and nothing has happened
	failAfter        // an error, and it has happened
	hangBefore       // no answer before the deadline, and nothing has happened
	hangAfter        // no answer before the deadline, and it has happened
	throttle         // refused for now
	late             // it happens, after a while
	killBefore       // the process dies
	killAfter        // the process dies, and it has happened
)

var faultNames = [...]string{"", "fails", "happens, fails", "hangs", "happens, hangs", "is throttled", "is late", "process dies before", "process dies after"}

// world runs processes one step at a time. Between two steps of a process any other may take any number: at every step all
// processes stand still, and choices decides who goes next and what goes wrong. Time is that of a [synctest] bubble: it
// passes only while everybody waits for it.
type world struct {
	choices *choices
	rate    int  // one step in so many goes wrong; 0 is none
	every   bool // crash is a choice at every step, and nothing else goes wrong
	crashes int  // how many processes may still die
	began   time.Time

	arrivals chan *step
	pending  []*step
	working  sync.WaitGroup // processes and actors
	ended    chan struct{}

	standing sync.Mutex

	mu       sync.Mutex
	trace    []string
	problems []string
}

// actor takes steps: one invocation of a function, which may die, or something of AWS's own, which does not.
type actor struct {
	name string
	dead atomic.Bool
}

// step is one access to the world outside of a process.
type step struct {
	actor   *actor
	name    string
	faults  []fault
	granted chan fault
}

func newWorld(c *choices) *world {
	return &world{choices: c, began: time.Now(), arrivals: make(chan *step, 1000), ended: make(chan struct{})}
}

// schedule grants steps until nobody is left.
func (w *world) schedule() {
	go func() {
		w.working.Wait()
		close(w.ended)
	}()
	for {
		if len(w.pending) == 0 {
			select { // time passes only here
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
		slices.SortStableFunc(w.pending, func(a, b *step) int { // by name, since they arrive in any order
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

// alone says of a step that it makes no difference when it happens, since it touches nothing that another one does: where
// every schedule is tried, it happens at once.
func (w *world) alone(s *step) bool {
	return w.every && (s.name == "keys" || strings.HasPrefix(s.name, "answer") || strings.HasPrefix(s.actor.name, "publisher"))
}

// bury lets what is left of dead processes end.
func (w *world) bury() {
	for synctest.Wait(); len(w.arrivals) > 0; synctest.Wait() {
		(<-w.arrivals).granted <- none
	}
}

func (w *world) fault(s *step) fault {
	w.standing.Lock()
	rate := w.rate
	w.standing.Unlock()
	if w.every {
		return w.crash(s)
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

// crash is a choice at every step: whether the process dies there, and before or after it has happened.
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

// do takes a step of the process that ctx belongs to. The effect happens while everybody else stands still.
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
		case <-ctx.Done(): // and it happens all the same
		}
		return w.do(ctx, name+", at last", nil, effect)
	case killBefore:
		p.dead.Store(true)
		runtime.Goexit()
	}
	w.standing.Lock() // which the race detector understands
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

// run runs a process to its end. It says whether it came there by itself; otherwise it died.
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
	w.trace = append(w.trace, fmt.Sprintf("%14s  ", time.Since(w.began).Round(time.Millisecond))+strings.TrimRight(fmt.Sprintf(format, arguments...), " "))
}

// problem records that something went wrong that must not, whatever the faults.
func (w *world) problem(format string, arguments ...any) {
	w.mu.Lock()
	w.problems = append(w.problems, fmt.Sprintf(format, arguments...))
	w.mu.Unlock()
	w.note("!! "+format, arguments...)
}
