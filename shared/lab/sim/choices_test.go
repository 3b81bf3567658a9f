package sim

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// choices decides everything that is random in a run, and records it, so that the run can be replayed and shrunk.
// Choice 0 is always the harmless one.
type choices struct {
	prefix []int // the first choices
	random *rand.Rand
	made   []int
	widths []int // of made: the number of alternatives
}

func seeded(seed uint64) *choices { return &choices{random: rand.New(rand.NewPCG(seed, 0))} }

// replayed returns the given choices, then harmless ones.
func replayed(made []int) *choices { return &choices{prefix: made} }

// choose returns a number below n.
func (c *choices) choose(n int) int {
	if n < 2 {
		return 0
	}
	chosen := 0
	switch i := len(c.made); {
	case i < len(c.prefix):
		chosen = min(c.prefix[i], n-1)
	case c.random != nil:
		chosen = c.random.IntN(n)
	}
	c.made, c.widths = append(c.made, chosen), append(c.widths, n)
	return chosen
}

// rarely returns true once in n times.
func (c *choices) rarely(n int) bool { return c.choose(n) == n-1 && n > 1 }

// shrink returns fewer and smaller choices that still fail. It removes stretches of choices or makes them harmless, the
// longest first.
func shrink(made []int, fails func([]int) bool) []int {
	try := func(candidate []int) bool {
		if !fails(candidate) {
			return false
		}
		made = candidate
		return true
	}
	for stretch := len(made); stretch > 0; stretch /= 2 {
		for i := 0; i < len(made); {
			end := min(i+stretch, len(made))
			without := append(append([]int{}, made[:i]...), made[end:]...)
			harmless := append([]int{}, made...)
			clear(harmless[i:end])
			if try(without) {
				continue
			}
			if !slices.Equal(made, harmless) && try(harmless) {
				i = end
				continue
			}
			i = end
		}
	}
	for i := range made {
		for made[i] > 1 {
			smaller := append([]int{}, made...)
			if smaller[i] /= 2; !try(smaller) {
				break
			}
		}
	}
	for len(made) > 0 && made[len(made)-1] == 0 {
		made = made[:len(made)-1]
	}
	return made
}

func TestShrinkFindsTheFewestChoices(t *testing.T) {
	fails := func(made []int) bool { // a 7, and something above 3 after it
		i := slices.Index(made, 7)
		return i >= 0 && slices.ContainsFunc(made[i+1:], func(n int) bool { return n > 3 })
	}
	for seed := range uint64(100) {
		c := seeded(seed)
		for !fails(c.made) {
			c.choose(50)
		}
		if got := shrink(c.made, fails); len(got) != 2 || got[0] != 7 || got[1] < 4 || got[1] > 7 {
			t.Errorf("seed %d: %v of %v", seed, got, c.made)
		}
	}
}
