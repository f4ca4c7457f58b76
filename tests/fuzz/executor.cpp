#include "tests/fuzz/executor.hpp"

#include "tests/fuzz/ways.hpp"

namespace vtlsim::tests {

std::string check_executor(std::span<const u8> input) {
    if (input.size() <= kExecutorHead) return "";
    const auto bit = [&](std::size_t byte, unsigned n) { return (input[byte] >> n & 1) != 0; };
    WorldOptions options;
    constexpr unsigned kModes = 5, kVirtual = 5;
    options.virtual_8086 = (input[0] & 7) == kVirtual;
    options.mode =
        options.virtual_8086 ? ExecMode::prot32 : static_cast<ExecMode>((input[0] & 7) % kModes);
    if (options.mode != ExecMode::real16) options.cpl = input[0] >> 3 & 3;
    if (options.virtual_8086) options.cpl = 3;
    options.paging = bit(0, 5);
    options.odd = bit(0, 6);
    if (bit(0, 7)) options.max_pages = 64;  // a store may not find room

    Surroundings around;
    around.deliver = bit(1, 0);
    around.exits = {.ports = bit(1, 1), .cpuid = bit(1, 2), .unknown_msr = bit(1, 3)};
    around.watch = bit(1, 4);
    around.small_ram = bit(1, 5);
    if (bit(1, 6)) around.interrupt_at = input[2] & 31;
    around.interrupt_vector = static_cast<u8>(0x20 | (input[2] >> 5));
    around.steps = 1 + (input[3] & 63);
    options.armed = bit(3, 6);
    options.xsave = bit(3, 7);

    u64 seed = 0;
    for (std::size_t i = 4; i < kExecutorHead; ++i) seed = seed << 8 | input[i];
    Random random(seed);
    const World world = make_world(random, options, input.subspan(kExecutorHead));
    return check_all_ways(world, around, random.next());
}

}  // namespace vtlsim::tests
