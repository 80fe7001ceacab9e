// pfx_space_open, pfx_space_close, pfx_record_prefill, pfx_explain.

public import CPrefixStore
internal import PrefixStore

/// See prefixstore.h.
@c @implementation
public func pfx_space_open(
    _ store: OpaquePointer!, _ identity: UnsafePointer<pfx_identity>!, _ layout: UnsafePointer<pfx_layout>!,
    _ space: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
    answer {
        let result = try unsafe place(space, "space")
        let handle = try unsafe store.handle()
        let opened = try unsafe store.object(Store.self)
        try unsafe result.give(
            opened.space(PrefixStoreC.identity(identity, PrefixStoreC.layout(layout))), of: handle)
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_space_close(_ space: OpaquePointer!) -> Int32 {
    answer { _ = try unsafe space.giveBack(Space.self) }
}

/// See prefixstore.h.
@c @implementation
public func pfx_record_prefill(_ space: OpaquePointer!, _ tokens: UInt64, _ nanoseconds: UInt64) -> Int32 {
    answer {
        try unsafe space.object(Space.self)
            .recordPrefill(tokens: Int(clamping: tokens), time: .nanoseconds(Int64(clamping: nanoseconds)))
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_explain(
    _ space: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ count: Int, _ text: UnsafeMutablePointer<CChar>!,
    _ capacity: Int
) -> Int64 {
    answer {
        let explanation = try unsafe space.object(Space.self).explain(PrefixStoreC.tokens(tokens, count))
        return try unsafe write(JSONText(explanation).text, text, capacity)
    }
}

extension JSONText {
    fileprivate init(_ explanation: Explanation) {
        self.init()
        add("requested_tokens", explanation.requestedTokens)
        add("found_tokens", JSONText(explanation.foundTokens))
        add("found_pages", explanation.foundPages)
        add("load_nanoseconds", explanation.loadTime.wholeNanoseconds)
        add("tokens_worth_loading", explanation.tokensWorthLoading)
        add("space", explanation.root.description)
        add(
            "other_spaces",
            explanation.others.map { other in
                var space = JSONText()
                space.add("space", other.root.description)
                space.add("model", other.labels["model"] ?? "")
                space.add("differs_in", other.differences.map { "\($0)" })
                return space
            })
    }
}
