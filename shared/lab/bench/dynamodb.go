package main

import (
	"encoding/json"
	"maps"
	"slices"
)

// item is a DynamoDB item as it is in JSON: {"name": {"S": "text"}}.
type item map[string]map[string]any

// table holds items by partition key and sort key.
type table map[string]map[string]item

// write is the part that writes have in common, whatever operation they stand in.
type write struct {
	Item, Key                           item
	ConditionExpression                 string
	UpdateExpression                    string
	ExpressionAttributeNames            map[string]string
	ExpressionAttributeValues           item
	ReturnValuesOnConditionCheckFailure string
}

// dynamodb serves one table.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB.html
func (a *account) dynamodb(operation string, body []byte, u *usage) (any, error) {
	switch operation {
	case "PutItem", "UpdateItem":
		return a.write(body, u)
	case "GetItem":
		var input struct{ Key item }
		if err := json.Unmarshal(body, &input); err != nil {
			return nil, err
		}
		return map[string]item{"Item": a.table.get(input.Key)}, nil
	case "BatchGetItem":
		return a.batchGet(body)
	case "TransactWriteItems":
		return a.transact(body, u)
	case "Query":
		return a.query(body)
	}
	return nil, unknown(operation, u)
}

func (a *account) write(body []byte, u *usage) (any, error) {
	var w write
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, err
	}
	ok, err := a.table.allows(w)
	if err != nil {
		return nil, err
	}
	if !ok {
		u.duplicates++
		f := &fault{"ConditionalCheckFailedException", map[string]any{}}
		if w.ReturnValuesOnConditionCheckFailure == "ALL_OLD" {
			f.fields["Item"] = a.table.get(w.key())
		}
		return nil, f
	}
	return map[string]any{}, a.table.apply(w)
}

func (a *account) batchGet(body []byte) (any, error) {
	var input struct {
		RequestItems map[string]struct{ Keys []item }
	}
	if err := json.Unmarshal(body, &input); err != nil {
		return nil, err
	}
	found := map[string][]item{}
	for name, request := range input.RequestItems {
		found[name] = []item{}
		for _, key := range request.Keys {
			if i := a.table.get(key); i != nil {
				found[name] = append(found[name], i)
			}
		}
	}
	return map[string]any{"Responses": found, "UnprocessedKeys": map[string]any{}}, nil
}

// transact makes all writes or none. A cancelled one has a reason for each of its writes, in their order.
func (a *account) transact(body []byte, u *usage) (any, error) {
	var input struct {
		TransactItems []struct{ Put, Update, Delete, ConditionCheck *write }
	}
	if err := json.Unmarshal(body, &input); err != nil {
		return nil, err
	}
	reasons, refused, writes := []map[string]string{}, false, []write{}
	for _, t := range input.TransactItems {
		for _, w := range []*write{t.Put, t.Update, t.Delete, t.ConditionCheck} {
			if w == nil {
				continue
			}
			ok, err := a.table.allows(*w)
			if err != nil {
				return nil, err
			}
			reason := "None"
			if !ok {
				reason, refused = "ConditionalCheckFailed", true
			}
			reasons = append(reasons, map[string]string{"Code": reason})
			if w == t.Put || w == t.Update {
				writes = append(writes, *w)
			}
		}
	}
	if refused {
		u.duplicates++
		return nil, &fault{"TransactionCanceledException", map[string]any{"CancellationReasons": reasons}}
	}
	for _, w := range writes {
		if err := a.table.apply(w); err != nil {
			return nil, err
		}
	}
	return map[string]any{}, nil
}

// query returns the items of a partition, in the order of their sort keys. There is one key condition: pk = :value.
func (a *account) query(body []byte) (any, error) {
	var input struct{ ExpressionAttributeValues item }
	if err := json.Unmarshal(body, &input); err != nil {
		return nil, err
	}
	found := []item{}
	for _, value := range input.ExpressionAttributeValues {
		partition := a.table[text(value)]
		for _, sort := range slices.Sorted(maps.Keys(partition)) {
			found = append(found, partition[sort])
		}
	}
	return map[string]any{"Items": found, "Count": len(found), "ScannedCount": len(found)}, nil
}

func text(value map[string]any) string {
	s, _ := value["S"].(string)
	return s
}

func (w write) key() item {
	if w.Key != nil {
		return w.Key
	}
	return w.Item
}

func (t table) get(key item) item { return t[text(key["pk"])][text(key["sk"])] }

// allows says whether the condition of a write holds.
func (t table) allows(w write) (bool, error) {
	if w.ConditionExpression == "" {
		return true, nil
	}
	e := expression{tokens: tokenise(w.ConditionExpression), names: w.ExpressionAttributeNames, values: w.ExpressionAttributeValues, item: t.get(w.key())}
	return e.condition()
}

// apply puts an item, or updates one.
func (t table) apply(w write) error {
	changed := w.Item
	if w.UpdateExpression != "" {
		changed = maps.Clone(w.Key)
		old := t.get(w.Key)
		maps.Copy(changed, old)
		e := expression{tokens: tokenise(w.UpdateExpression), names: w.ExpressionAttributeNames, values: w.ExpressionAttributeValues, item: old}
		if err := e.update(changed); err != nil {
			return err
		}
	}
	partition := text(changed["pk"])
	if t[partition] == nil {
		t[partition] = map[string]item{}
	}
	t[partition][text(changed["sk"])] = changed
	return nil
}
