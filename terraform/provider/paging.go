package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

const (
	defaultLimit = 1000
	maxLimit     = 10000
	// maxPage is what the registry gives in one answer.
	maxPage = 500
)

var limitAttribute = schema.Int64Attribute{
	Optional: true, Validators: []validator.Int64{int64validator.Between(1, maxLimit)},
	MarkdownDescription: fmt.Sprintf("How many to read at most. Default: %d; at most %d.", defaultLimit, maxLimit),
}

var truncatedAttribute = schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether there are more than `limit`."}

// collect reads pages until there are no more or the limit is reached.
func collect[T any](limit types.Int64, page func(cursor string, most int) ([]T, string, error)) (all []T, truncated bool, err error) {
	most := defaultLimit
	if !limit.IsNull() {
		most = int(limit.ValueInt64())
	}
	for cursor := ""; ; {
		var list []T
		list, cursor, err = page(cursor, min(maxPage, most-len(all)))
		all = append(all, list...)
		switch {
		case err != nil || cursor == "":
			return all, false, err
		case len(all) >= most:
			return all, true, nil
		}
	}
}
