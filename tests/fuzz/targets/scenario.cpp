// Any text as a scenario file: it is loaded, or every error names a place in it.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "runner/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace vtlsim::runner;
    const std::string text(reinterpret_cast<const char*>(data), size);
    Diagnostics diagnostics;
    const bool loaded = parse_scenario(text, "f", diagnostics).has_value();
    const std::string messages = diagnostics.to_string();
    Diagnostics again;
    const bool loaded_again = parse_scenario(text, "f", again).has_value();
    if (loaded == messages.empty() && loaded == loaded_again && messages == again.to_string()) {
        return 0;
    }
    std::fprintf(stderr, "loaded %d and then %d, with the messages\n%s", loaded, loaded_again,
                 messages.c_str());
    std::abort();
}
