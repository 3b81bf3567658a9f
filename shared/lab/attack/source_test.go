package attack

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"esignhooks/shared/webhook/webhooktest"
)

// function is one declaration of the module's code without its tests.
type function struct {
	file string // from the root
	name string // empty outside functions
	ast.Decl
}

// source reads the Go code below a folder, and the imports of each file.
func source(t *testing.T, dir string) (all []function, imports map[string][]string) {
	t.Helper()
	root := webhooktest.Root(t)
	imports = map[string][]string{}
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return fs.SkipDir
		}
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		for _, imported := range file.Imports {
			imports[relative] = append(imports[relative], strings.Trim(imported.Path.Value, `"`))
		}
		for _, d := range file.Decls {
			f := function{file: relative, Decl: d}
			if declared, ok := d.(*ast.FuncDecl); ok {
				f.name = declared.Name.Name
			}
			all = append(all, f)
		}
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("no code in %s: %v", dir, err)
	}
	return all, imports
}

// TestSecretsAreRevealedInFewPlaces lists the functions that may reveal a secret: to verify a request, and to send or
// show it for the operator.
func TestSecretsAreRevealedInFewPlaces(t *testing.T) {
	allowed := []string{
		"shared/webhook/secret.go Reveal", "shared/webhook/secret.go Equal", "shared/webhook/secret.go HMAC",
		"shared/webhook/secret.go Any", "shared/webhook/secret.go Matches",
		"shared/webhook/secret.go Respelt", "shared/webhook/secret.go Fingerprint", // to explain a refusal
		"shared/webhook/refusal/scheme.go try",                                              // never an empty key
		"shared/sample/explain.go Explain",                                                  // to explain a file without the token
		"shared/operate/doctor/webhook.go Written", "shared/operate/doctor/webhook.go keys", // to measure and compare
		"shared/operate/doctor/webhook.go public", "shared/provider/adobesign/adobesign.go ChallengeRequest",
		"shared/stack/preflight.go written", // to notice a placeholder
		"shared/webhook/secret.go URL",      // to register
		"shared/wiring/localhost/banner.go curl", "shared/wiring/localhost/config.go ReadConfig",
		"shared/wiring/localhost/send.go target", "shared/wiring/localhost/mask.go newMasker",
		"shared/outlet/outlet.go ParseKey", // to sign for the application
		"shared/wiring/localhost/vendors.go wireClients", "shared/vendorapi/adobesign/adobesign.go New",
		"shared/vendorapi/dropboxsign/dropboxsign.go New",
		"shared/vendorapi/tokens.go aead", "shared/vendorapi/tokens.go seal",
	}
	all, _ := source(t, ".")
	seen := map[string]bool{}
	for _, f := range all {
		ast.Inspect(f.Decl, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Reveal" { // also as a value
				seen[f.file+" "+f.name] = true
			}
			return true
		})
	}
	for _, place := range slices.Sorted(maps.Keys(seen)) {
		signs := strings.HasPrefix(place, "shared/provider/") && strings.HasSuffix(place, " Sign")
		if !signs && !slices.Contains(allowed, place) {
			t.Errorf("%s reveals a secret", place)
		}
	}
	signers := 0
	for place := range seen {
		if strings.HasPrefix(place, "shared/provider/") {
			signers++
		}
	}
	if !seen[allowed[1]] || signers == 0 {
		t.Errorf("the test looks at the wrong places: %v", slices.Sorted(maps.Keys(seen)))
	}
}

// TestSecretsAreComparedInConstantTime finds that secrets are compared in one place, with [hmac.Equal], without
// stopping at the first match.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	all, _ := source(t, "shared/webhook")
	compares := 0
	for _, f := range all {
		if f.file != "shared/webhook/secret.go" || !slices.Contains([]string{"Equal", "Any", "Matches"}, f.name) {
			continue
		}
		loops := 0
		ast.Inspect(f.Decl, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op == token.LAND && !isName(n.Y, "usable") && !isEmptiness(n.Y) {
					t.Errorf("%s: && goes before a comparison, and may leave it out", f.name)
				}
				if n.Op == token.LOR && !isName(n.Y, "found") {
					t.Errorf("%s: || goes before a comparison, and may leave it out", f.name)
				}
				if comparison(n.Op) && !isEmptiness(n) {
					t.Errorf("%s compares with %s", f.name, n.Op)
				}
			case *ast.CallExpr:
				name := selector(n.Fun)
				compares += strings.Count(name, "hmac.Equal")
				if first, _, _ := strings.Cut(name, "."); slices.Contains([]string{"bytes", "strings", "slices", "maps", "reflect"},
					first) {
					t.Errorf("%s calls %s", f.name, name)
				}
			case *ast.RangeStmt, *ast.ForStmt:
				loops++
			case *ast.BranchStmt, *ast.IfStmt, *ast.SwitchStmt, *ast.IndexExpr:
				t.Errorf("%s: the way depends on a secret", f.name)
			case *ast.ReturnStmt:
				if declared := f.Decl.(*ast.FuncDecl); declared.Body.List[len(declared.Body.List)-1] != ast.Stmt(n) {
					t.Errorf("%s returns before its end", f.name)
				}
			}
			return true
		})
		if f.name == "Matches" && loops != 2 {
			t.Errorf("Matches has %d loops", loops)
		}
	}
	if compares != 1 {
		t.Errorf("hmac.Equal is called %d times", compares)
	}
	for _, dir := range []string{"shared/webhook", "shared/provider", "shared/receive"} {
		_, imports := source(t, dir)
		for file, imported := range imports {
			for _, secretive := range []string{"crypto/hmac", "crypto/subtle", "reflect", "unsafe"} {
				if file != "shared/webhook/secret.go" && !strings.Contains(file, "webhooktest") &&
					slices.Contains(imported, secretive) {
					t.Errorf("%s imports %s", file, secretive)
				}
			}
		}
	}
}

// TestMACsAreNeitherComparedNorKept finds that a provider passes a MAC only to Matches, or writes it into a request
// that it signs. It never uses ==, bytes.Equal, a switch or a map to compare one.
func TestMACsAreNeitherComparedNorKept(t *testing.T) {
	all, _ := source(t, "shared/provider")
	signers, packages := map[string]bool{}, map[string]bool{}
	calls := func(f function, is func(*ast.SelectorExpr, *ast.Ident) bool) (found bool) {
		ast.Inspect(f.Decl, func(n ast.Node) bool {
			s, _ := n.(*ast.SelectorExpr)
			id, _ := n.(*ast.Ident)
			found = found || is(s, id)
			return true
		})
		return found
	}
	for _, f := range all { // functions that compute a MAC
		if calls(f, func(s *ast.SelectorExpr, _ *ast.Ident) bool { return s != nil && s.Sel.Name == "HMAC" }) {
			signers[filepath.Dir(f.file)+" "+f.name] = true
			packages[filepath.Dir(f.file)] = true
		}
	}
	for _, f := range all {
		dir := filepath.Dir(f.file)
		if f.name == "Sign" || signers[dir+" "+f.name] {
			continue
		}
		ast.Inspect(f.Decl, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && selector(call.Fun) == "webhook.Matches" {
				for _, argument := range call.Args[:2] { // the keys, and the values that came with the request
					ast.Inspect(argument, func(n ast.Node) bool {
						if id, ok := n.(*ast.Ident); ok && signers[dir+" "+id.Name] {
							t.Errorf("%s %s: a MAC is passed as a received value", f.file, f.name)
						}
						return true
					})
				}
				return false
			}
			if id, ok := n.(*ast.Ident); ok && signers[dir+" "+id.Name] {
				t.Errorf("%s %s: %s is used outside of Matches", f.file, f.name, id.Name)
			}
			return true
		})
	}
	for _, f := range all {
		matches := calls(f, func(s *ast.SelectorExpr, _ *ast.Ident) bool {
			return s != nil && selector(s) == "webhook.Matches"
		})
		if dir := filepath.Dir(f.file); matches && !packages[dir] {
			t.Errorf("%s calls Matches, and no MAC is seen there", dir)
		}
	}
	if len(packages) == 0 {
		t.Error("no MACs are seen")
	}
}

// TestKeysAndTokensAreNotInspected finds that receivers and providers only count keys and tokens, and pass them on.
func TestKeysAndTokensAreNotInspected(t *testing.T) {
	seen := 0
	for _, dir := range []string{"shared/provider", "shared/receive"} {
		all, _ := source(t, dir)
		for _, f := range all {
			ast.Inspect(f.Decl, func(n ast.Node) bool {
				var looked []ast.Expr
				switch n := n.(type) {
				case *ast.CallExpr:
					name := selector(n.Fun)
					seen += strings.Count(name, "webhook.Any") + strings.Count(name, "webhook.Matches")
					if name == "len" {
						return false
					}
					if first, _, _ := strings.Cut(name,
						"."); slices.Contains([]string{"bytes", "strings", "slices", "maps", "fmt", "cmp"}, first) {
						looked = n.Args
					}
				case *ast.BinaryExpr:
					if comparison(n.Op) {
						looked = []ast.Expr{n.X, n.Y}
					}
				case *ast.SwitchStmt:
					looked = []ast.Expr{n.Tag}
				case *ast.CaseClause:
					looked = n.List
				case *ast.IndexExpr:
					looked = []ast.Expr{n.X, n.Index}
				case *ast.RangeStmt:
					looked = []ast.Expr{n.X}
				}
				for _, e := range looked {
					if s, ok := e.(*ast.SelectorExpr); ok && slices.Contains([]string{"Keys", "URLTokens", "URLToken"}, s.Sel.Name) {
						t.Errorf("%s %s looks into %s", f.file, f.name, selector(s))
					}
				}
				return true
			})
		}
	}
	if seen < 6 {
		t.Errorf("Any and Matches are called %d times", seen)
	}
}

func comparison(op token.Token) bool {
	return slices.Contains([]token.Token{token.EQL, token.NEQ, token.LSS, token.GTR, token.LEQ, token.GEQ}, op)
}

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// isEmptiness reports whether e compares with the empty string, which tests the configuration and not a secret.
func isEmptiness(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	if !ok || b.Op != token.NEQ {
		return false
	}
	literal, ok := b.Y.(*ast.BasicLit)
	return ok && literal.Value == `""`
}

// selector returns a name with its qualifier.
func selector(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return selector(e.X) + "." + e.Sel.Name
	}
	return ""
}
