import Testing

@testable import LlamaEngine

@Suite("Normal form C")
struct NormalFormTests {
    @Test(
        "composes what composes and orders marks",
        arguments: [
            ("plain ASCII\r\n", "plain ASCII\r\n"), ("e\u{301}", "\u{E9}"), ("a\u{323}\u{302}", "\u{1EAD}"),
            ("a\u{302}\u{323}", "\u{1EAD}"), ("\u{212B}", "\u{C5}"), ("\u{1112}\u{1161}\u{11AB}", "\u{D55C}"),
            ("\u{958}", "\u{915}\u{93C}"), ("\u{11099}\u{110BA}", "\u{1109A}"), ("\u{1D15E}", "\u{1D157}\u{1D165}"),
            ("\u{2F800}", "\u{4E3D}"),
        ])
    func composes(text: String, expected: String) {
        #expect(NormalForm.composed(text).utf8.elementsEqual(expected.utf8))
    }

    @Test(
        "never composes a scalar beyond the basic plane as if its upper bits were not there",
        arguments: [
            ("\u{E0041}\u{301}", "\u{E0041}\u{301}"), ("\u{10041}\u{301}\u{323}", "\u{10041}\u{323}\u{301}"),
            ("e\u{301}\u{20041}\u{308}e\u{301}", "\u{E9}\u{20041}\u{308}\u{E9}"),
            ("a\u{E0045}\u{301}\u{11099}\u{110BA}", "a\u{E0045}\u{301}\u{1109A}"),
        ])
    func keepsUpperBits(text: String, expected: String) {
        #expect(NormalForm.composed(text).utf8.elementsEqual(expected.utf8))
        #expect(NormalForm.composed(text) == text)
    }
}
