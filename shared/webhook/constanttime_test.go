package webhook_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"esignhooks/shared/webhook/webhooktest"
)

// TestSecretsAreComparedInConstantTime reads the source: what comes out of Secret.Reveal or Secret.HMAC, also by way of a
// variable or of a function of the same package, is compared by hmac.Equal alone. Whether a secret is "" may be asked.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	root, sources := webhooktest.Root(t), 0
	for _, dir := range []string{"shared/webhook", "shared/provider", "shared/receive"} {
		packages := map[string][]*ast.File{}
		fset := token.NewFileSet()
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], file)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(packages) == 0 {
			t.Errorf("no source in %s", dir)
		}
		for _, files := range packages {
			violations, seen := variableTime(fset, files)
			sources += seen
			for _, v := range violations {
				t.Error(strings.TrimPrefix(v, root+"/"))
			}
		}
	}
	if sources < 6 { // Equal, HMAC, and one or more for each of the providers that sign
		t.Errorf("only %d uses of secrets were found: the test looks at the wrong places", sources)
	}
}

func TestVariableTimeComparisonsAreFound(t *testing.T) {
	for name, tt := range map[string]struct {
		code string
		want bool
	}{
		"==":                              {`return s.Reveal() == x`, true},
		"== the other way round":          {`return x == s.Reveal()`, true},
		"!=":                              {`return s.Reveal() != x`, true},
		"<":                               {`return s.Reveal() < x`, true},
		"in parentheses":                  {`return (s.Reveal()) == (x)`, true},
		"a part of it":                    {`return s.Reveal()[1:] == x`, true},
		"one byte of it":                  {`return s.Reveal()[0] == x[0]`, true},
		"of the HMAC":                     {`return string(s.HMAC(nil, nil)) == x`, true},
		"through a variable":              {`want := s.Reveal(); return want == x`, true},
		"through two variables":           {`a := s.Reveal(); b := []byte(a); return string(b) == x`, true},
		"through a declared variable":     {`var a = s.Reveal(); return a == x`, true},
		"through an encoding":             {`return hex.EncodeToString(s.HMAC(nil)) == x`, true},
		"through a function":              {`return signature(s) == x`, true},
		"through a loop":                  {`for _, c := range s.Reveal() { if c == 'x' { return true } }; return false`, true},
		"in a closure":                    {`return slices.ContainsFunc(l, func(y string) bool { return y == s.Reveal() })`, true},
		"bytes.Equal":                     {`return bytes.Equal([]byte(s.Reveal()), []byte(x))`, true},
		"strings.EqualFold":               {`return strings.EqualFold(x, s.Reveal())`, true},
		"strings.HasPrefix":               {`return strings.HasPrefix(x, s.Reveal())`, true},
		"strings.Contains":                {`return strings.Contains(x, s.Reveal())`, true},
		"strings.Compare":                 {`return strings.Compare(x, s.Reveal()) > 0`, true},
		"slices.Contains":                 {`return slices.Contains(l, s.Reveal())`, true},
		"slices.Equal":                    {`return slices.Equal(s.HMAC(nil), []byte(x))`, true},
		"reflect.DeepEqual":               {`return reflect.DeepEqual(s.Reveal(), x)`, true},
		"a switch on it":                  {`switch s.Reveal() { case x: return true }; return false`, true},
		"a case of it":                    {`switch x { case s.Reveal(): return true }; return false`, true},
		"a map":                           {`return m[s.Reveal()]`, true},
		"the method as a value":           {`f := s.Reveal; return f() == x`, true},
		"hmac.Equal":                      {`return hmac.Equal([]byte(s.Reveal()), []byte(x))`, false},
		"hmac.Equal of encoded":           {`return hmac.Equal([]byte(hex.EncodeToString(s.HMAC(nil))), []byte(x))`, false},
		"subtle":                          {`return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(x)) == 1`, false},
		"Secret.Equal":                    {`return s.Equal(x) == true`, false},
		"whether it is empty":             {`return s.Reveal() == ""`, false},
		"whether a variable is empty":     {`want := s.Reveal(); return hmac.Equal([]byte(want), []byte(x)) && want != ""`, false},
		"how long it is":                  {`return len(s.Reveal()) == 0`, false},
		"how many are left":               {`l := slices.DeleteFunc(l, func(string) bool { return s.Reveal() == "" }); return len(l) == 0`, false},
		"what has nothing to do with it":  {`if x == "y" { return false }; return hmac.Equal(s.HMAC(nil), nil)`, false},
		"the result of a fair comparison": {`ok := hmac.Equal(s.HMAC(nil), nil); return ok == true`, false},
	} {
		t.Run(name, func(t *testing.T) {
			code := "package p\nfunc signature(s Secret) string { sum := s.HMAC(nil); return hex.EncodeToString(sum) }\n" +
				"func check(s Secret, x string, l []string, m map[string]bool) bool {\n" + tt.code + "\n}\n"
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, "p.go", code, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if violations, _ := variableTime(fset, []*ast.File{file}); len(violations) > 0 != tt.want {
				t.Error(violations)
			}
		})
	}
}

// secrecy knows which names of a function, and which functions of a package, stand for secrets or for what is made of
// them. It errs on the strict side, since it goes by names alone.
type secrecy struct {
	functions, variables map[string]bool
}

// variableTime returns the comparisons of secrets that may take a time that depends on them, and the number of places where
// secrets come from. Functions named Sign are left out: they make requests, and judge none.
func variableTime(fset *token.FileSet, files []*ast.File) (violations []string, seen int) {
	known := secrecy{functions: map[string]bool{"Reveal": true, "HMAC": true}}
	var functions []*ast.FuncDecl
	for _, file := range files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil && f.Name.Name != "Sign" {
				functions = append(functions, f)
			}
		}
	}
	for changed := true; changed; { // until no further function is found to return secrets
		changed = false
		for _, f := range functions {
			if known.within(f); !known.functions[f.Name.Name] && known.returned(f) {
				known.functions[f.Name.Name], changed = true, true
			}
		}
	}
	for _, f := range functions {
		known.within(f)
		called := map[ast.Expr]bool{}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			bad := ""
			switch n := n.(type) {
			case *ast.CallExpr:
				called[n.Fun] = true
				if name := callee(n); name == "Reveal" || name == "HMAC" {
					seen++
				}
				if pkg := qualifier(n); slices.Contains([]string{"bytes", "strings", "slices", "cmp", "reflect", "maps"}, pkg) &&
					!slices.Contains(harmless, callee(n)) && slices.ContainsFunc(n.Args, known.secret) {
					bad = pkg + "." + callee(n)
				}
			case *ast.SelectorExpr:
				if n.Sel.Name == "Reveal" && !called[n] {
					bad = "Reveal as a value"
				}
			case *ast.BinaryExpr:
				if comparison(n.Op) && (known.secret(n.X) && !empty(n.Y) || known.secret(n.Y) && !empty(n.X)) {
					bad = n.Op.String()
				}
			case *ast.SwitchStmt:
				if n.Tag != nil && known.secret(n.Tag) {
					bad = "switch"
				}
			case *ast.CaseClause:
				if slices.ContainsFunc(n.List, known.secret) {
					bad = "case"
				}
			case *ast.IndexExpr:
				if known.secret(n.Index) {
					bad = "index"
				}
			}
			if bad != "" {
				violations = append(violations, fmt.Sprintf("%s: %s of a secret in %s: use Secret.Equal or hmac.Equal", fset.Position(n.Pos()), bad, f.Name.Name))
			}
			return true
		})
	}
	return violations, seen
}

// harmless functions of bytes, strings and slices change or copy, and compare nothing.
var harmless = []string{"Clone", "Concat", "Join", "Repeat", "ToLower", "ToUpper", "Trim", "TrimSpace", "NewReader"}

// within fills in the variables of f.
func (k *secrecy) within(f *ast.FuncDecl) {
	k.variables = map[string]bool{}
	for changed := true; changed; {
		changed = false
		mark := func(e ast.Expr) {
			if name, ok := e.(*ast.Ident); ok && name.Name != "_" && !k.variables[name.Name] {
				k.variables[name.Name], changed = true, true
			}
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					if len(n.Rhs) == len(n.Lhs) && k.secret(n.Rhs[i]) || len(n.Rhs) == 1 && len(n.Lhs) > 1 && k.secret(n.Rhs[0]) {
						mark(left)
					}
				}
			case *ast.ValueSpec:
				if slices.ContainsFunc(n.Values, k.secret) {
					for _, name := range n.Names {
						mark(name)
					}
				}
			case *ast.RangeStmt:
				if k.secret(n.X) && n.Value != nil {
					mark(n.Value)
				}
			}
			return true
		})
	}
}

// returned says whether f returns a secret, also by a named result.
func (k *secrecy) returned(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			found = found || slices.ContainsFunc(n.Results, k.secret)
		}
		return true
	})
	if f.Type.Results != nil {
		for _, result := range f.Type.Results.List {
			found = found || slices.ContainsFunc(result.Names, func(name *ast.Ident) bool { return k.variables[name.Name] })
		}
	}
	return found
}

// secret says whether the value of e is a secret or made of one. The results of comparisons, and lengths, are not.
func (k *secrecy) secret(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return k.variables[e.Name]
	case *ast.CallExpr:
		switch name := callee(e); {
		case name == "len" || name == "cap" || qualifier(e) == "subtle" || name == "Equal":
			return false
		case k.functions[name]:
			return true
		}
		receiver, _ := e.Fun.(*ast.SelectorExpr)
		return slices.ContainsFunc(e.Args, k.secret) || receiver != nil && k.secret(receiver.X)
	case *ast.BinaryExpr:
		return e.Op == token.ADD && (k.secret(e.X) || k.secret(e.Y))
	case *ast.UnaryExpr:
		return e.Op != token.NOT && k.secret(e.X)
	case *ast.CompositeLit:
		return slices.ContainsFunc(e.Elts, k.secret)
	case *ast.KeyValueExpr:
		return k.secret(e.Value)
	case *ast.ParenExpr:
		return k.secret(e.X)
	case *ast.StarExpr:
		return k.secret(e.X)
	case *ast.SelectorExpr:
		return k.secret(e.X)
	case *ast.IndexExpr:
		return k.secret(e.X)
	case *ast.SliceExpr:
		return k.secret(e.X)
	case *ast.TypeAssertExpr:
		return k.secret(e.X)
	}
	return false
}

// callee is the last name of the called function.
func callee(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// qualifier is what stands before the dot, if it is one name.
func qualifier(call *ast.CallExpr) string {
	if f, ok := call.Fun.(*ast.SelectorExpr); ok {
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name
		}
	}
	return ""
}

func comparison(op token.Token) bool {
	return slices.Contains([]token.Token{token.EQL, token.NEQ, token.LSS, token.GTR, token.LEQ, token.GEQ}, op)
}

func empty(e ast.Expr) bool {
	literal, ok := e.(*ast.BasicLit)
	return ok && (literal.Value == `""` || literal.Value == "``")
}
