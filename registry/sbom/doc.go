// Package sbom recognizes bills of materials and checks that what reads them later will find what it
// needs.
//
//	document, err := sbom.Read(file)
//	if err != nil {
//		return fmt.Errorf("%q %w", name, err) // "app.cdx.json" is CycloneDX 1.6 with 1 mistake: …
//	}
//	fmt.Println(document) // CycloneDX 1.6
//
// # What is recognized
//
//	CycloneDX 1.2 to 1.7   JSON   "bomFormat" and "specVersion"
//	CycloneDX 1.0 to 1.7   XML    the namespace of the element bom
//	SPDX 2.2 and 2.3       JSON   "spdxVersion"
//	SPDX 2.2 and 2.3       tag-value   the tag SPDXVersion
//	SPDX 3.0.x             JSON-LD     the "@context" of spdx.org, elements in "@graph"
//
// Text is UTF-8, with or without a byte order mark. SPDX as RDF/XML, XML, YAML or spreadsheet, and
// CycloneDX as protocol buffers, are refused.
//
// # What is checked
//
// Every document: it is whole, there is nothing after it, and the fields below have the right types. In
// the lists, * is a field that must be there.
//
// CycloneDX. The document: bomFormat* (JSON), specVersion*, version (an integer; * in JSON until 1.4),
// serialNumber (a UUID URN), metadata.timestamp (RFC 3339), metadata.component, components (* until 1.1),
// services, dependencies, externalReferences, compositions. A component, at any depth: type* (one that
// its version of the standard has), name*, version (* until 1.3), modified (* in XML 1.0), hashes,
// externalReferences, components. A service: name*, services, externalReferences. A dependency: ref*,
// dependsOn. A hash: alg*, content*. An external reference: type*, url*. A composition: aggregate* (JSON).
// No two of the parts of a document have one bom-ref; in JSON, those within fields that are not named here,
// such as formulation, do not count.
//
// SPDX 2.2 and 2.3. The document: spdxVersion*, dataLicense* (CC0-1.0), SPDXID* (SPDXRef-DOCUMENT), name*,
// documentNamespace* (an absolute URI without fragment), creationInfo* with created* (UTC) and creators*. A
// package: SPDXID*, name*, downloadLocation*, checksums. A file: SPDXID*, fileName*, checksums*. A snippet:
// SPDXID*, snippetFromFile*. A relationship: spdxElementId*, relationshipType*, relatedSpdxElement*. An
// extracted license: licenseId*, extractedText*. A checksum: algorithm*, checksumValue*. An SPDXID begins with
// SPDXRef- and is there once. In tag-value the same is checked under the names of its tags, but for the parts
// of checksums. The licenses and copyright texts that SPDX 2.2 calls mandatory are not: its own examples leave
// them out.
//
// SPDX 3.0. Every object of @graph: type*, spdxId (* for documents, SBOMs, packages, files, snippets and
// relationships), creationInfo (* for the same). A CreationInfo, in the graph or inside an element:
// specVersion* (3.0.x), created* (UTC), createdBy*. A package and a file: name*. A relationship: from*,
// to*, relationshipType*. No two objects of the graph have one spdxId or @id; there is at most one SpdxDocument.
//
// This is no validation against the full schema: fields that are not named above, what fields refer to,
// license expressions, package URLs and digests are not looked at.
package sbom
