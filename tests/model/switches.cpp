// The switches of hyperv-vtl.md 7.1: each is there, with its values and its default.
#include "model/switches.hpp"

#include <algorithm>

#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;

struct Wanted {
    std::string_view name;
    std::vector<std::string_view> values;
    std::string_view by_default;
    std::vector<std::string_view> ours;  // values that the reference does not have
};

const std::vector<Wanted>& wanted() {
    static const std::vector<Wanted> all = {
        {"gpr_model", {"shared", "shadow", "shadow_on_second_reentry"}, "shared", {}},
        {"fx_cr2_restore", {"pre3584", "head"}, "head", {}},
        {"pending_on_return",
         {"restore_then_bounce", "bounce_then_keep"},
         "restore_then_bounce",
         {}},
        {"stub_bytes", {"copies", "plain"}, "copies", {}},
        {"reason_merge", {"first_wins", "intercept_wins"}, "first_wins", {}},
        {"regpage_fill", {"all16", "rsp_only", "unmapped", "invalid"}, "all16", {}},
        {"driver", {"racy", "asyncstarting"}, "racy", {"asyncstarting_release_store"}},
        {"set_rip_path", {"ap_command", "register_page"}, "ap_command", {}},
        {"vmm_fix", {"V0", "V1", "V2", "V1V2", "VH"}, "V0", {"V1_all_gps"}},
        {"emulate_io_width", {"openvmm", "architectural"}, "openvmm", {}},
    };
    return all;
}

}  // namespace

TEST_CASE("switches: all of the reference's, with its values and defaults", "[model]") {
    for (const Wanted& w : wanted()) {
        INFO(w.name);
        const SwitchRow* row = find_switch(switch_rows(), w.name);
        REQUIRE(row != nullptr);
        std::vector<std::string_view> values = w.values;
        values.insert(values.end(), w.ours.begin(), w.ours.end());
        std::vector<std::string_view> is;
        for (const SwitchValue& v : row->values) is.push_back(v.name);
        std::sort(values.begin(), values.end());
        std::sort(is.begin(), is.end());
        CHECK(is == values);
        CHECK(row->values[row->get(Switches{})].name == w.by_default);
    }
}

TEST_CASE("docs/sidecar.md says how each switch of the reference is called here", "[model][docs]") {
    const std::string page = source_file("docs/sidecar.md");
    const std::size_t start = page.find("| hyperv-vtl.md 7.1 | here |");
    REQUIRE(start != std::string::npos);
    const auto in_first_column = [&](std::string_view name) {
        return page.find("\n| " + std::string(name) + ":", start) != std::string::npos ||
               page.find("\n| " + std::string(name) + " |", start) != std::string::npos;
    };
    for (const Wanted& w : wanted()) {
        INFO(w.name);
        CHECK(in_first_column(w.name));
        for (std::string_view ours : w.ours) {
            CHECK(page.find("`" + std::string(ours) + "`", start) != std::string::npos);
        }
    }
    CHECK(in_first_column("attention_delay"));  // a scenario's own key, for it is a number
    // Those that the reference does not have are named too.
    for (const SwitchRow& row : switch_rows()) {
        const bool theirs = std::any_of(wanted().begin(), wanted().end(),
                                        [&](const Wanted& w) { return w.name == row.name; });
        INFO(row.name);
        CHECK((theirs || page.find("`" + std::string(row.name) + "`", start) != std::string::npos));
    }
}

}  // namespace vtlsim::tests
