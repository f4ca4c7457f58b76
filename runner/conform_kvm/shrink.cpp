#include "runner/conform_kvm/shrink.hpp"

namespace vtlsim::runner::conform_kvm {
namespace {

using model::kvm::Action;
using model::kvm::Device;
using model::kvm::Rule;

class Shrinker {
  public:
    Shrinker(const RandomCase& start, const std::function<bool(const RandomCase&)>& differs,
             int tries)
        : best_(start), differs_(differs), tries_(tries) {}

    RandomCase run() {
        for (changed_ = true; changed_ && tries_ > 0;) {
            changed_ = false;
            drop([](RandomCase & c) -> auto& { return c.script.rules; });
            for (std::size_t r = 0; r < best_.script.rules.size(); ++r) actions(r);
            drop([](RandomCase & c) -> auto& { return c.code; });
            prefixes();
            drop([](RandomCase & c) -> auto& { return c.vectors; });
            drop([](RandomCase & c) -> auto& { return c.script.devices; });
            devices();
            drop([](RandomCase & c) -> auto& { return c.registers; });
            registers();
            drop([](RandomCase & c) -> auto& { return c.data; });
            data();
        }
        return best_;
    }

  private:
    bool attempt(RandomCase candidate) {
        if (tries_ <= 0) return false;
        --tries_;
        if (!differs_(candidate)) return false;
        best_ = std::move(candidate);
        return changed_ = true;
    }

    // Elements of a list, one after the other.
    template <typename List>
    void drop(List list) {
        for (std::size_t i = list(best_).size(); i-- > 0;) {
            RandomCase c = best_;
            list(c).erase(list(c).begin() + static_cast<std::ptrdiff_t>(i));
            attempt(std::move(c));
        }
    }

    void actions(std::size_t rule) {
        drop([rule](RandomCase & c) -> auto& { return c.script.rules[rule].then; });
        for (std::size_t a = 0; a < best_.script.rules[rule].then.size(); ++a) {
            drop([ rule,
                   a ](RandomCase & c) -> auto& { return c.script.rules[rule].then[a].registers; });
        }
    }

    void prefixes() {
        for (std::size_t i = 0; i < best_.code.size(); ++i) {
            if (best_.code[i].size() < 2) continue;
            RandomCase c = best_;
            c.code[i].erase(c.code[i].begin());
            attempt(std::move(c));
        }
    }

    void devices() {
        for (std::size_t i = 0; i < best_.script.devices.size(); ++i) {
            for (std::size_t size :
                 {std::size_t{0}, std::size_t{1}, std::size_t{4}, std::size_t{16}}) {
                if (best_.script.devices[i].reads.size() <= size) break;
                RandomCase c = best_;
                c.script.devices[i].reads.resize(size);
                if (attempt(std::move(c))) break;
            }
        }
    }

    void registers() {
        for (std::size_t i = 0; i < best_.registers.size(); ++i) {
            const u64 now = best_.registers[i].second;
            for (u64 simpler : {u64{0}, u64{1}, u64{2}, now & 0xFF, now & 0xFFFF, now & 0xFFFFF,
                                now & ~u64{0xFF}}) {
                if (simpler >= best_.registers[i].second) continue;
                RandomCase c = best_;
                c.registers[i].second = simpler;
                if (attempt(std::move(c))) break;
            }
        }
    }

    void data() {
        for (std::size_t i = 0; i < best_.data.size(); ++i) {
            for (std::size_t size = best_.data[i].bytes.size() / 2; size > 0; size /= 2) {
                RandomCase c = best_;
                c.data[i].bytes.resize(size);
                if (!attempt(std::move(c))) break;
            }
        }
    }

    RandomCase best_;
    const std::function<bool(const RandomCase&)>& differs_;
    int tries_;
    bool changed_ = false;
};

}  // namespace

RandomCase shrink(const RandomCase& start, const std::function<bool(const RandomCase&)>& differs,
                  int tries) {
    return Shrinker(start, differs, tries).run();
}

}  // namespace vtlsim::runner::conform_kvm
