package provider

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func orNull(s string) types.String {
	if s == "" {
		return types.StringNull()
	}
	return types.StringValue(s)
}

// timeText writes a time as the registry does.
func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func timeOrNull(t *time.Time) types.String {
	if t == nil {
		return types.StringNull()
	}
	return types.StringValue(timeText(*t))
}

func textMap(m map[string]string) types.Map {
	values := map[string]attr.Value{}
	for key, value := range m {
		values[key] = types.StringValue(value)
	}
	return types.MapValueMust(types.StringType, values)
}

func textList[S ~string](list []S) types.List {
	values := make([]attr.Value, len(list))
	for i, s := range list {
		values[i] = types.StringValue(string(s))
	}
	return types.ListValueMust(types.StringType, values)
}

// objects is a list of objects of a type. value returns all attributes of the type.
func objects[T any](typ types.ObjectType, list []T, value func(T) map[string]attr.Value) types.List {
	values := make([]attr.Value, len(list))
	for i, v := range list {
		values[i] = types.ObjectValueMust(typ.AttrTypes, value(v))
	}
	return types.ListValueMust(typ, values)
}
