package sqlstore

import (
	"context"
	"encoding/json"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// InsertImages implements [registry.Tx].
func (t *tx) InsertImages(ctx context.Context, name registry.ArtifactName, number int64, component string, images []registry.Image) error {
	return t.onBuild(ctx, name, number, component, func(q querier, key buildKey) error {
		return insertImages(ctx, q, key, images)
	})
}

// Most images come without a verification, and binding the values of a row is most of what it costs.
var (
	imageInserts    = multiInserts(`INSERT INTO image (artifact_id, number, ordinal, provider, region, id, source_id, labels)`, 3, 5)
	verifiedInserts = multiInserts(`INSERT INTO image (artifact_id, number, ordinal, provider, region, id, source_id, labels, status, verification)`, 3, 7)
)

func insertImages(ctx context.Context, q querier, key buildKey, images []registry.Image) error {
	var plain, verified []any
	for _, image := range images {
		labels, err := encodeMap(image.Labels)
		if err != nil {
			return err
		}
		columns := []any{image.Provider, image.Region, image.ID, image.SourceID, labels}
		if image.Verification == nil {
			plain = append(plain, columns...)
			continue
		}
		status, verification, err := encodeVerification(image.Verification)
		if err != nil {
			return err
		}
		verified = append(append(verified, columns...), status, verification)
	}
	if err := imageInserts.run(ctx, q, key.columns(), plain); err != nil {
		return err
	}
	return verifiedInserts.run(ctx, q, key.columns(), verified)
}

// DeleteImages implements [registry.Tx].
func (t *tx) DeleteImages(ctx context.Context, name registry.ArtifactName, number int64, component string, images []registry.Image) error {
	return t.onBuild(ctx, name, number, component, func(q querier, key buildKey) error {
		for _, image := range images {
			if err := execOne(ctx, q, `DELETE FROM image WHERE artifact_id = $1 AND number = $2 AND ordinal = $3 AND provider = $4 AND region = $5 AND id = $6`,
				append(key.columns(), image.Provider, image.Region, image.ID)...); err != nil {
				return err
			}
		}
		return nil
	})
}

const setVerification = `
UPDATE image SET status = $7, verification = $8
WHERE artifact_id = $1 AND number = $2 AND ordinal = $3 AND provider = $4 AND region = $5 AND id = $6`

// SetVerifications implements [registry.Tx].
func (t *tx) SetVerifications(ctx context.Context, name registry.ArtifactName, number int64, component string, images []registry.Image) error {
	return t.onBuild(ctx, name, number, component, func(q querier, key buildKey) error {
		for _, image := range images {
			status, verification, err := encodeVerification(image.Verification)
			if err != nil {
				return err
			}
			if err := execOne(ctx, q, setVerification, append(key.columns(), image.Provider, image.Region, image.ID, status, verification)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// finding is a verification, but for its status, as it is kept.
type finding struct {
	At         int64             `json:"at"` // microseconds since the epoch
	Reason     string            `json:"reason,omitempty"`
	Attributes registry.Metadata `json:"attributes,omitempty"`
}

// encodeVerification returns two empty texts where nobody looked.
func encodeVerification(v *registry.Verification) (status, verification string, err error) {
	if v == nil {
		return "", "", nil
	}
	text, err := json.Marshal(finding{At: micros(v.At), Reason: v.Reason, Attributes: v.Attributes})
	return string(v.Status), string(text), err
}

func decodeVerification(status, verification string) (*registry.Verification, error) {
	if verification == "" {
		return nil, nil
	}
	f, err := decode[finding](verification)
	return &registry.Verification{Status: registry.ImageStatus(status), At: timeOf(f.At), Reason: f.Reason, Attributes: f.Attributes}, err
}
