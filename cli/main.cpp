// The verbs of vtlsim. Exit status: 0 all as expected, 1 something is not, 2 bad usage or input,
// 3 a limit was hit before a verdict.
#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/verbs.hpp"
#include "vtlsim_version.hpp"

int main(int argc, char** argv) {
    using namespace vtlsim::cli;
    CLI::App app{"vtlsim: a deterministic x86 and hypervisor simulator for intercept semantics"};
    app.set_version_flag("--version", fmt::format("vtlsim {}", vtlsim::kVersion));
    app.require_subcommand(1);
    int status = 0;

    RunOptions run;
    CLI::App* verb = app.add_subcommand("run", "Run scenarios and check what they expect");
    verb->add_option("paths", run.paths, "Scenario files, or folders of them")->required();
    verb->add_option("--format", run.format, "text or json")
        ->check(CLI::IsMember({"text", "json"}));
    verb->callback([&] { status = run_verb(run); });

    CheckOptions check;
    verb =
        app.add_subcommand("check", "Say what is wrong with scenario files, without running them");
    verb->add_option("paths", check.paths, "Scenario files, or folders of them")->required();
    verb->callback([&] { status = check_verb(check); });

    TraceOptions trace;
    verb = app.add_subcommand("trace", "Run one scenario and print its event log");
    verb->add_option("file", trace.file, "Scenario file")->required();
    verb->add_option("--variant", trace.variant, "Which variant: switch=value,...");
    verb->add_option("--hide", trace.hide, "Kinds of events to leave out: insn,store,...")
        ->delimiter(',');
    verb->add_option("-o,--output", trace.output, "Write to this file instead of standard output");
    verb->callback([&] { status = trace_verb(trace); });

    ListOptions list;
    verb = app.add_subcommand("list", "Print what scenarios can name");
    verb->add_option("what", list.what, "switches, events, registers or instructions")
        ->required()
        ->check(CLI::IsMember({"switches", "events", "registers", "instructions"}));
    verb->callback([&] { status = list_verb(list); });

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        const int code = app.exit(e, std::cout, std::cerr);
        return code == 0 ? 0 : 2;
    }
    return std::fflush(stdout) == 0 ? status : 2;
}
