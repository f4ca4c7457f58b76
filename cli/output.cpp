#include "cli/output.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

namespace vtlsim::cli {
namespace {

// 0, or the errno of what failed.
int write_to(std::FILE* file, std::string_view text) {
    const bool good =
        std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
    return good ? 0 : errno;
}

int write_file(const std::string& path, std::string_view text) {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (file == nullptr) return errno;
    const int error = write_to(file, text);
    return std::fclose(file) != 0 && error == 0 ? errno : error;
}

int replace_file(const std::string& path, std::string_view text) {
    const std::string temporary = path + ".tmp";
    int error = write_file(temporary, text);
    if (error == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
    if (error != 0) std::remove(temporary.c_str());
    return error;
}

}  // namespace

void ignore_closed_pipes() { std::signal(SIGPIPE, SIG_IGN); }

bool write_output(const std::string& path, std::string_view text) {
    int error = 0;
    if (path.empty()) {
        error = write_to(stdout, text);
        if (error == EPIPE) return true;
    } else {
        // Devices, pipes and folders are not to be replaced by a file.
        std::error_code no_matter;
        const auto type = std::filesystem::status(path, no_matter).type();
        const bool replace = type == std::filesystem::file_type::regular ||
                             type == std::filesystem::file_type::not_found;
        error = replace ? replace_file(path, text) : write_file(path, text);
    }
    if (error == 0) return true;
    write_error(fmt::format("{}: cannot be written: {}\n", path.empty() ? "standard output" : path,
                            std::strerror(error)));
    return false;
}

void write_error(std::string_view text) { write_to(stderr, text); }

}  // namespace vtlsim::cli
