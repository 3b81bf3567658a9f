package main

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
)

// expression is a condition or update expression of DynamoDB over an item, as far as the ledger uses them.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html and
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
type expression struct {
	tokens []string
	names  map[string]string
	values item
	item   item
	err    error
}

var token = regexp.MustCompile(`[#:]?\w+|<>|<=|>=|[<>=(),+]`)

func tokenise(s string) []string { return token.FindAllString(s, -1) }

func (e *expression) peek() string {
	if len(e.tokens) == 0 {
		return ""
	}
	return e.tokens[0]
}

func (e *expression) next() string {
	t := e.peek()
	if t != "" {
		e.tokens = e.tokens[1:]
	}
	return t
}

func (e *expression) expect(want string) {
	if got := e.next(); got != want && e.err == nil {
		e.err = fmt.Errorf("bench: expression has %q where %q belongs", got, want)
	}
}

// attribute is the name that a token stands for.
func (e *expression) attribute() string {
	t := e.next()
	if t != "" && t[0] == '#' {
		return e.names[t]
	}
	return t
}

// operand is the value of an attribute, of a placeholder, or of a function; nil if there is none.
func (e *expression) operand() map[string]any {
	switch t := e.peek(); {
	case t != "" && t[0] == ':':
		e.next()
		return e.values[t]
	case t == "if_not_exists":
		e.next()
		e.expect("(")
		value := e.item[e.attribute()]
		e.expect(",")
		otherwise := e.operand()
		e.expect(")")
		if value != nil {
			return value
		}
		return otherwise
	case t == "size":
		e.next()
		e.expect("(")
		value := e.item[e.attribute()]
		e.expect(")")
		for _, of := range value {
			return numeral(float64(reflect.ValueOf(of).Len()))
		}
		return nil
	}
	return e.item[e.attribute()]
}

// condition says whether the item meets the condition.
func (e *expression) condition() (bool, error) {
	met := e.either()
	if e.peek() != "" && e.err == nil {
		e.err = fmt.Errorf("bench: condition goes on with %q", e.peek())
	}
	return met, e.err
}

func (e *expression) either() bool {
	met := e.both()
	for e.peek() == "OR" {
		e.next()
		other := e.both()
		met = met || other
	}
	return met
}

func (e *expression) both() bool {
	met := e.one()
	for e.peek() == "AND" {
		e.next()
		other := e.one()
		met = met && other
	}
	return met
}

func (e *expression) one() bool {
	switch t := e.peek(); t {
	case "(":
		e.next()
		met := e.either()
		e.expect(")")
		return met
	case "attribute_exists", "attribute_not_exists":
		e.next()
		e.expect("(")
		_, there := e.item[e.attribute()]
		e.expect(")")
		return there == (t == "attribute_exists")
	}
	left := e.operand()
	operator := e.next()
	right := e.operand()
	return compare(left, operator, right)
}

// compare is false for what is not there.
func compare(left map[string]any, operator string, right map[string]any) bool {
	if left == nil || right == nil {
		return false
	}
	l, lok := number(left)
	r, rok := number(right)
	switch operator {
	case "=":
		return reflect.DeepEqual(left, right)
	case "<>":
		return !reflect.DeepEqual(left, right)
	case "<":
		return lok && rok && l < r
	case ">":
		return lok && rok && l > r
	case "<=":
		return lok && rok && l <= r
	case ">=":
		return lok && rok && l >= r
	}
	return false
}

func number(value map[string]any) (float64, bool) {
	s, _ := value["N"].(string)
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

func numeral(n float64) map[string]any {
	return map[string]any{"N": strconv.FormatFloat(n, 'f', -1, 64)}
}

// update makes the changes of SET, ADD and REMOVE in changed.
func (e *expression) update(changed item) error {
	clause := ""
	for e.peek() != "" && e.err == nil {
		if t := e.peek(); slices.Contains([]string{"SET", "ADD", "REMOVE"}, t) {
			clause = e.next()
		} else if t == "," {
			e.next()
		}
		name := e.attribute()
		switch clause {
		case "SET":
			e.expect("=")
			value := e.operand()
			for e.peek() == "+" {
				e.next()
				value = sum(value, e.operand())
			}
			changed[name] = value
		case "ADD":
			changed[name] = sum(changed[name], e.operand())
		case "REMOVE":
			delete(changed, name)
		default:
			e.err = fmt.Errorf("bench: update begins with %q", name)
		}
	}
	return e.err
}

// sum adds numbers, or the members of a set.
func sum(to, value map[string]any) map[string]any {
	if members, ok := value["SS"].([]any); ok {
		old, _ := to["SS"].([]any)
		union := slices.Clone(old)
		for _, m := range members {
			if !slices.Contains(union, m) {
				union = append(union, m)
			}
		}
		return map[string]any{"SS": union}
	}
	a, _ := number(to)
	b, _ := number(value)
	return numeral(a + b)
}
