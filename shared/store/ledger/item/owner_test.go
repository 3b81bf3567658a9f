package item_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
)

const root = "../../../.."

// TestNoOtherPackageNamesAnAttribute looks for attribute names in the string literals of all other product packages.
// The names of the key are forbidden everywhere. The others are ordinary words, and so they are forbidden only in files
// that deal with items, except as keys of log lines and in error texts.
func TestNoOtherPackageNamesAnAttribute(t *testing.T) {
	files := 0
	for _, folder := range []string{"shared", "functions"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			name := entry.Name()
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (name == "lab" || name == "item" || name != "test" && strings.HasSuffix(name, "test")):
				return fs.SkipDir
			case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			files++
			for _, literal := range attributeLiterals(file) {
				t.Errorf("%s: %s names an attribute", set.Position(literal.Pos()), literal.Value)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("read %d files only", files)
	}
}

func TestLiteralsThatNameAnAttributeAreFound(t *testing.T) {
	const sdk = `import "github.com/aws/aws-sdk-go-v2/service/dynamodb"; `
	const stream = `import "github.com/aws/aws-lambda-go/events"; var _ events.DynamoDBEvent; `
	for source, want := range map[string]int{
		`var x = map[string]any{"pk": 1, "sk": 2}`:                              2,
		`var x = item["state"]`:                                                 0, // no file that deals with items
		sdk + `var x = item["state"]`:                                           1,
		stream + `var x = record.Change.NewImage["state"]`:                      1,
		sdk + `var x = "SET #state = :processed"`:                               1,
		sdk + `var x = aws.String("attribute_exists(pk)")`:                      1,
		sdk + `var x = aws.String("attribute_exists(" + p + ")")`:               0,
		sdk + `type x struct { State string ` + "`json:\"state\"`" + ` }`:       0,
		sdk + `func f() { log.Info("not published", "type", x) }`:               0,
		sdk + `func f() error { return fmt.Errorf("event of %s: %w", a, err) }`: 0,
		sdk + `func f() error { return fmt.Errorf("%v: %w", i["event"], err) }`: 1,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x; "+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if found := attributeLiterals(file); len(found) != want {
			t.Errorf("found %d in %s, want %d", len(found), source, want)
		}
	}
}

// word matches a word, with the parenthesis of a function such as size().
var word = regexp.MustCompile(`\w+\(?`)

// attributeLiterals returns the string literals of a file that name an attribute.
func attributeLiterals(file *ast.File) (found []*ast.BasicLit) {
	items := dealsWithItems(file)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field: // its tag is the name of a JSON member
			return n.Tag == nil
		case *ast.CallExpr:
			if reports(n) {
				for _, argument := range n.Args {
					if _, literal := argument.(*ast.BasicLit); !literal {
						found = append(found, literalsIn(argument, items)...)
					}
				}
				return false
			}
		case *ast.BasicLit:
			found = append(found, literalsIn(n, items)...)
		}
		return true
	})
	return found
}

func literalsIn(n ast.Node, items bool) (found []*ast.BasicLit) {
	ast.Inspect(n, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		names := func(s string) bool { return slices.Contains(item.Names, s) }
		if err == nil && (text == item.PK || text == item.SK || items &&
			slices.ContainsFunc(word.FindAllString(text, -1), names)) {
			found = append(found, literal)
		}
		return true
	})
	return found
}

// dealsWithItems reports whether a file uses the DynamoDB client or the table's stream.
func dealsWithItems(file *ast.File) (found bool) {
	for _, imported := range file.Imports {
		found = found || strings.HasPrefix(imported.Path.Value, `"github.com/aws/aws-sdk-go-v2/service/dynamodb`)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			from, _ := s.X.(*ast.Ident)
			found = found || from != nil && from.Name == "events" && strings.HasPrefix(s.Sel.Name, "DynamoDB")
		}
		return true
	})
	return found
}

// reports reports whether a call logs or makes an error.
func reports(call *ast.CallExpr) bool {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	return slices.Contains([]string{
		"Errorf", "New", "wrap", "With", "Debug", "Info", "Warn", "Error",
		"DebugContext", "InfoContext", "WarnContext", "ErrorContext",
	}, name)
}

func TestTheTemplateNamesTheSameAttributes(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(b), "\n  Table:\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var names []string
	for _, match := range regexp.MustCompile(`AttributeName: (\w+)`).FindAllStringSubmatch(table, -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	if want := []string{item.Expires, item.PK, item.PK, item.SK, item.SK}; !slices.Equal(names, want) {
		t.Errorf("the table has the attributes %v, want %v", names, want)
	}
	filter := fmt.Sprintf(`{"dynamodb":{"NewImage":{%q:{"S":[%q]}}}}`, item.State, ledger.Processed)
	if !strings.Contains(string(b), "'"+filter+"'") {
		t.Errorf("the publisher's filter is not %s", filter)
	}
}
