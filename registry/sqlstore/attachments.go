package sqlstore

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// InsertAttachments implements [registry.Tx].
func (t *tx) InsertAttachments(ctx context.Context, name registry.ArtifactName, number int64, component string, attachments []registry.Attachment) error {
	return t.onBuild(ctx, name, number, component, func(q querier, key buildKey) error {
		return insertAttachments(ctx, q, key, attachments)
	})
}

var attachmentInserts = multiInserts(`INSERT INTO attachment (artifact_id, number, ordinal, name, kind, format, size, sha256)`, 3, 5)

func insertAttachments(ctx context.Context, q querier, key buildKey, attachments []registry.Attachment) error {
	values := make([]any, 0, attachmentInserts.columns*len(attachments))
	for _, a := range attachments {
		values = append(values, a.Name, string(a.Kind), a.Format, a.Size, string(a.SHA256))
	}
	return attachmentInserts.run(ctx, q, key.columns(), values)
}
