// Any text as assembly, in the mode that its first byte chooses: bytes that the lines cover and
// that disassemble, or errors that lie in the text.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "sim/asm/disassembler.hpp"

namespace {

using namespace vtlsim;
using namespace vtlsim::sim;

void require(bool good, const char* what) {
    if (good) return;
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size == 0) return 0;
    AsmOptions options;
    options.mode = static_cast<AsmMode>(data[0] % 3);
    options.origin = 0x1000;
    options.max_bytes = 4096;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const AsmResult result = assemble(text, options);
    require(result.ok() || result.bytes.empty(), "bytes in spite of errors");
    require(result.errors.size() <= kMaxAsmErrors, "too many errors");
    require(result.bytes.size() <= options.max_bytes, "too many bytes");
    for (const AsmError& error : result.errors) {
        require(error.line >= 1 && error.line <= size + 1, "an error outside of the text");
        require(error.column >= 1 && error.column <= size + 1, "an error outside of its line");
        require(!error.message.empty(), "an error without a message");
    }
    for (const AsmLine& line : result.lines) {
        const u64 at = line.address - result.origin;
        require(at <= result.bytes.size() && line.length <= result.bytes.size() - at,
                "a line outside of the bytes");
        const std::span<const u8> bytes(result.bytes.data() + at, line.length);
        require(!disassemble(bytes, line.address, options.mode).empty(), "no disassembly");
    }
    return 0;
}
