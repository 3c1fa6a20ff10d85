//! How cards of either dialect are decoded.

use quarterdeck::protocol::card;

/// The name of the row, the members of a card in addition to those that every card has, the interfaces that it offers
/// when it is read from `http://h:1/agents/x/.well-known/…`, and parts of its expected schemes and faults.
type CardRow = (&'static str, &'static str, &'static str, &'static [&'static str]);

const CARDS: &[CardRow] = &[
    (
        "1.0",
        r#""supportedInterfaces":[{"url":"http://h/","protocolBinding":"JSONRPC","protocolVersion":"1.0"}]"#,
        "JSONRPC 1.0 http://h/",
        &[],
    ),
    ("0.2.6", r#""url":"http://h/","protocolVersion":"0.2.6""#, "JSONRPC 0.2.6 http://h/", &[]),
    (
        "relative",
        r#""supportedInterfaces":[{"url":"/a2a/rpc","protocolBinding":"JSONRPC","protocolVersion":"1.0"}]"#,
        "JSONRPC 1.0 http://h:1/a2a/rpc",
        &["supportedInterfaces[0].url: /a2a/rpc is not absolute"],
    ),
    (
        "relative to the agent",
        r#""url":"rpc/v1","protocolVersion":"0.3.0""#,
        "JSONRPC 0.3.0 http://h:1/agents/x/rpc/v1",
        &["url: rpc/v1 is not absolute"],
    ),
    (
        "a host without a scheme",
        r#""url":"other:9/rpc","protocolVersion":"0.3.0""#,
        "JSONRPC 0.3.0 other:9/rpc",
        &[],
    ),
    (
        "snake case",
        r#""supported_interfaces":[{"url":"http://h/","protocol_binding":"JSONRPC","protocol_version":"1.0"}]"#,
        "JSONRPC 1.0 http://h/",
        &[
            "supported_interfaces: spelt supportedInterfaces in A2A",
            "supportedInterfaces[0].protocol_binding: spelt protocolBinding in A2A",
        ],
    ),
    (
        "binding in another case",
        r#""supportedInterfaces":[{"url":"http://h/","transport":"json-rpc","protocolVersion":"1.0"}]"#,
        "JSONRPC 1.0 http://h/",
        &["supportedInterfaces[0].protocolBinding: missing", r#""json-rpc" for "JSONRPC""#],
    ),
    (
        "schemes without type",
        r#""url":"http://h/","protocolVersion":"0.3.0","securitySchemes":{"a":{"openIdConnectUrl":"https://h/x"},"b":{"type":"http"},"c":{"flows":{"clientCredentials":{"tokenUrl":"https://h/t"}}},"d":{"name":"X-Key","location":"header"},"e":{"x":1}}"#,
        "JSONRPC 0.3.0 http://h/",
        &[
            "a openIdConnect at https://h/x",
            "b http, of no scheme",
            "c oauth2, clientCredentials",
            "d apiKey in header X-Key",
            "e of an unknown kind",
            "securitySchemes.a.type: missing; taken for openIdConnect by its members",
            "securitySchemes.b.scheme: missing",
            "securitySchemes.e: of an unknown kind",
        ],
    ),
    (
        "0.3's schemes in 1.0",
        r#""supportedInterfaces":[{"url":"http://h/","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],"securitySchemes":{"b":{"type":"http","scheme":"bearer"}}"#,
        "JSONRPC 1.0 http://h/",
        &["b http bearer", "securitySchemes.b: has a type, as in 0.3; 1.0 has it in httpAuthSecurityScheme"],
    ),
];

#[test]
fn cards_of_either_dialect_are_understood() {
    for (name, members, offers, expected) in CARDS {
        let text = format!(
            r#"{{"name":"n","description":"d","version":"1","capabilities":{{}},"defaultInputModes":[],"defaultOutputModes":[],"skills":[],{members}}}"#
        );
        let mut card = card::decode(&text).unwrap();
        let place = url::Url::parse("http://h:1/agents/x/.well-known/agent-card.json").unwrap();
        card::resolve(&mut card, &place);
        let offered: Vec<String> = card
            .offers
            .iter()
            .map(|offer| format!("{} {} {}", offer.binding, offer.version.as_ref().unwrap(), offer.url))
            .collect();
        assert_eq!(offered, [*offers], "{name}");
        let schemes = card.security.iter().map(|scheme| format!("{} {}", scheme.name, scheme.kind));
        let described: Vec<String> = schemes.chain(card.faults.iter().map(ToString::to_string)).collect();
        assert_eq!(described.is_empty(), expected.is_empty(), "{name}: {described:?}");
        for part in *expected {
            assert!(
                described.iter().any(|line| line.contains(part)),
                "{name}: no {part:?} in {described:#?}"
            );
        }
    }
}
