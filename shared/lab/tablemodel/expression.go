package tablemodel

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// expression evaluates the expressions of one request.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html and
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html, read 2026-11-30.
type expression struct {
	names  map[string]string
	values map[string]value
	used   map[string]bool // placeholders

	words []string // that are left
	item  item
	err   error
}

var word = regexp.MustCompile(`[#:]?[\w]+|<=|>=|<>|[=<>(),]|\S`)

func (e *expression) start(text string, i item) {
	e.words, e.item, e.err = word.FindAllString(text, -1), i, nil
}

// end returns the first mistake in the text.
func (e *expression) end(text string) error {
	if e.err == nil && len(e.words) > 0 {
		e.fail("unexpected %q", e.words[0])
	}
	if e.err != nil {
		return invalid("%s: %v", text, e.err)
	}
	return nil
}

func (e *expression) fail(format string, a ...any) {
	if e.err == nil {
		e.err = fmt.Errorf(format, a...)
	}
	e.words = nil
}

// unused returns an error for a placeholder that no expression uses, as DynamoDB does.
func (e *expression) unused() error {
	if e.names != nil && len(e.names) == 0 || e.values != nil && len(e.values) == 0 {
		return invalid("names or values are empty")
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(e.names)), slices.Collect(maps.Keys(e.values))) {
		if !e.used[name] {
			return invalid("%s is not used", name)
		}
	}
	return nil
}

func (e *expression) peek() string {
	if len(e.words) == 0 {
		return ""
	}
	return e.words[0]
}

func (e *expression) next() string {
	w := e.peek()
	if w == "" {
		e.fail("it ends too early")
		return ""
	}
	e.words = e.words[1:]
	return w
}

// take takes the next word if it is this one.
func (e *expression) take(w string) bool {
	if e.peek() != w {
		return false
	}
	e.words = e.words[1:]
	return true
}

func (e *expression) want(w string) {
	if !e.take(w) {
		e.fail("%q instead of %q", e.peek(), w)
	}
}

// condition evaluates a condition. The empty one is true.
func (e *expression) condition(text string, i item) (holds bool, err error) {
	if text == "" {
		return true, nil
	}
	e.start(text, i)
	holds = e.or()
	return holds, e.end(text)
}

func (e *expression) or() bool {
	holds := e.and()
	for e.take("OR") {
		holds = e.and() || holds
	}
	return holds
}

func (e *expression) and() bool {
	holds := e.not()
	for e.take("AND") {
		holds = e.not() && holds
	}
	return holds
}

func (e *expression) not() bool {
	if e.take("NOT") {
		return !e.not()
	}
	if e.take("(") {
		holds := e.or()
		e.want(")")
		return holds
	}
	switch function := e.peek(); function {
	case "attribute_exists", "attribute_not_exists":
		_, exists := e.item[e.argument()]
		return exists == (function == "attribute_exists")
	case "contains":
		e.next()
		e.want("(")
		in := e.item[e.name()]
		e.want(",")
		part := e.value()
		e.want(")")
		return in.S != nil && part.S != nil && strings.Contains(*in.S, *part.S) ||
			part.S != nil && slices.Contains(in.SS, *part.S)
	}
	return e.comparison()
}

// argument reads a function and its only argument, a name.
func (e *expression) argument() string {
	e.next()
	e.want("(")
	name := e.name()
	e.want(")")
	return name
}

func (e *expression) comparison() bool {
	left, exists := e.operand()
	operator := e.next()
	if operator == "IN" {
		e.want("(")
		found := false
		for {
			right, _ := e.operand()
			c, comparable := left.compare(right)
			found = found || exists && comparable && c == 0
			if !e.take(",") {
				break
			}
		}
		e.want(")")
		return found
	}
	right, rightExists := e.operand()
	c, comparable := left.compare(right)
	holds, known := map[string]bool{"=": c == 0, "<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0}[operator]
	if !known {
		e.fail("unknown operator %q", operator)
	}
	return exists && rightExists && comparable && holds
}

func (e *expression) operand() (v value, exists bool) {
	switch w := e.peek(); {
	case strings.HasPrefix(w, ":"):
		return e.value(), true
	case w == "size":
		v, exists = e.item[e.argument()]
		n := strconv.Itoa(len(v.text()) + len(v.SS))
		return value{N: &n}, exists
	default:
		v, exists = e.item[e.name()]
		return v, exists
	}
}

func (e *expression) name() string {
	w := e.next()
	if strings.HasPrefix(w, "#") {
		name, ok := e.names[w]
		if e.used[w] = true; !ok {
			e.fail("no name for %s", w)
		}
		return name
	}
	return w
}

func (e *expression) value() value {
	w := e.next()
	v, ok := e.values[w]
	if e.used[w] = true; !ok {
		e.fail("no value for %s", w)
	}
	return v
}

// text returns a text or the digits of a number.
func (v value) text() string {
	switch {
	case v.S != nil:
		return *v.S
	case v.N != nil:
		return *v.N
	}
	return ""
}

// compare compares two texts or two whole numbers.
func (v value) compare(other value) (c int, comparable bool) {
	switch {
	case v.S != nil && other.S != nil:
		return strings.Compare(*v.S, *other.S), true
	case v.N != nil && other.N != nil:
		a, errA := strconv.ParseInt(*v.N, 10, 64)
		b, errB := strconv.ParseInt(*other.N, 10, 64)
		switch {
		case a < b:
			c = -1
		case a > b:
			c = 1
		}
		return c, errA == nil && errB == nil
	}
	return 0, false
}

// update returns the item after an update.
func (e *expression) update(text string, before, at item) (item, error) {
	after := maps.Clone(at)
	maps.Copy(after, before)
	e.start(text, before)
	for len(e.words) > 0 {
		action := e.next()
		for {
			name := e.name()
			if name == "pk" || name == "sk" {
				e.fail("%s is part of the key", name)
			}
			switch action {
			case "SET":
				e.want("=")
				after[name] = e.assigned()
			case "ADD":
				after[name] = e.sum(before[name], e.value())
			case "REMOVE":
				delete(after, name)
			default:
				e.fail("unknown action %q", action)
			}
			if !e.take(",") {
				break
			}
		}
	}
	return after, e.end(text)
}

// assigned reads the right side of an assignment.
func (e *expression) assigned() value {
	if !e.take("if_not_exists") {
		return e.value()
	}
	e.want("(")
	old, exists := e.item[e.name()]
	e.want(",")
	v := e.value()
	e.want(")")
	if exists {
		return old
	}
	return v
}

// sum adds to a number or a set.
func (e *expression) sum(old, more value) value {
	switch {
	case more.N != nil && old.S == nil && old.SS == nil:
		a, _ := strconv.ParseInt(old.text(), 10, 64) // 0 if it is absent
		b, _ := strconv.ParseInt(*more.N, 10, 64)
		n := strconv.FormatInt(a+b, 10)
		return value{N: &n}
	case more.SS != nil && old.S == nil && old.N == nil:
		set := slices.Concat(old.SS, more.SS)
		slices.Sort(set)
		return value{SS: slices.Compact(set)}
	}
	e.fail("ADD of another type")
	return old
}

// projection returns the projected names; nil for all.
func (e *expression) projection(text string) (names []string) {
	for e.start(text, nil); len(e.words) > 0; e.take(",") {
		names = append(names, e.name())
	}
	return names
}
