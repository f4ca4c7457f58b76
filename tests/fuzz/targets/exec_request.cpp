// Any bytes as a line of `vtlsim exec`: a request or an error, and one line of JSON for an answer
// where the run is short.
#include "runner/exec_request.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>

#include <nlohmann/json.hpp>

#include "runner/exec_protocol.hpp"

namespace {

void require(bool good, const std::string& what) {
    if (good) return;
    std::fprintf(stderr, "%s\n", what.c_str());
    std::abort();
}

// REP may take long: at most so many bytes of it in one step.
bool is_short(const vtlsim::runner::ExecRequest& request) {
    return request.max_steps <= 16 && request.state[vtlsim::sim::Reg::rcx] <= 4096;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace vtlsim::runner;
    const std::string line(reinterpret_cast<const char*>(data), size);
    const ExecReading reading = read_exec_request(line);
    require(reading.request.has_value() == reading.error.empty(), "a request and an error");
    require(nlohmann::json::accept(reading.id), "an id that is not JSON");
    if (reading.request && !is_short(*reading.request)) return 0;
    ExecSession session;
    std::string answer;
    session.answer(line, answer);
    require(answer.ends_with('\n') && answer.find('\n') == answer.size() - 1, "not one line");
    require(nlohmann::json::accept(answer), answer);
    return 0;
}
