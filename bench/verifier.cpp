// What the kernel's verifier says of the programs, by compiler: how many instructions it followed
// (of the million that it allows), how long it took, how deep the stack is, and how large the
// programs are. Growth is seen here before it is a refusal.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/xdp/program.hpp"

namespace json = boost::json;

namespace {

constexpr std::uint32_t statistics = 4;  // BPF_LOG_STATS, kernel/bpf/verifier.c

struct Row {
  std::string program, compiler;
  std::uint64_t instructions = 0, states = 0, microseconds = 0;
  std::uint64_t deepest = 0;                ///< stack of the largest function, bytes
  std::uint32_t translated = 0, jited = 0;  ///< bytes
};

/// The number behind a word of the verifier's report; 0 where it does not stand there.
std::uint64_t number(const std::string& log, const std::string& pattern) {
  std::smatch match;
  return std::regex_search(log, match, std::regex(pattern)) ? std::stoull(match[1]) : 0;
}

/// Of "stack depth 152+0+24": the largest.
std::uint64_t deepest_of(const std::string& log) {
  std::smatch match;
  std::uint64_t deepest = 0;
  if (!std::regex_search(log, match, std::regex("stack depth ([0-9+]+)")))
    return deepest;
  std::stringstream depths(match[1]);
  for (std::string depth; std::getline(depths, depth, '+');)
    deepest = std::max<std::uint64_t>(deepest, std::stoull(depth));
  return deepest;
}

/// Loads an object's programs and writes down what the verifier said.
void measure(const std::filesystem::path& path, const std::string& compiler, bool multi_buffer,
             std::vector<Row>& rows) {
  const std::unique_ptr<bpf_object, void (*)(bpf_object*)> object(
      bpf_object__open_file(path.c_str(), nullptr), bpf_object__close);
  if (!object)
    throw std::runtime_error(path.string() + " cannot be opened: " + std::strerror(errno));
  if (multi_buffer)
    if (const auto made = sluice::dataplane::xdp::make_multi_buffer(object.get()); !made)
      throw std::runtime_error(path.string() + ": " + made.error().message);
  std::map<std::string, std::vector<char>> logs;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.get()) {
    auto& log = logs[bpf_program__name(program)];
    log.resize(1 << 20);
    bpf_program__set_log_level(program, statistics);
    bpf_program__set_log_buf(program, log.data(), log.size());
  }
  if (const int error = bpf_object__load(object.get()))
    throw std::runtime_error("the kernel refuses " + path.string() + ": " + std::strerror(-error));
  bpf_object__for_each_program(program, object.get()) {
    const std::string log = logs.at(bpf_program__name(program)).data();
    bpf_prog_info info{};
    std::uint32_t length = sizeof info;
    if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length) != 0)
      throw std::runtime_error(std::string("a loaded program tells nothing: ") +
                               std::strerror(errno));
    rows.push_back(
        {.program = bpf_program__name(program) + std::string(multi_buffer ? " (multi)" : ""),
         .compiler = compiler,
         .instructions = number(log, "processed ([0-9]+) insns"),
         .states = number(log, "total_states ([0-9]+)"),
         .microseconds = number(log, "verification time ([0-9]+) usec"),
         .deepest = deepest_of(log),
         .translated = info.xlated_prog_len,
         .jited = info.jited_prog_len});
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string file;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) != "--json") {
      std::cerr << "usage: bench_verifier [--json FILE]\n";
      return 2;
    }
    file = argv[i + 1];
  }
  libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
  std::vector<Row> rows;
  try {
    for (const auto& [folder, compiler] : std::vector<std::pair<std::string, std::string>>{
             {"", SLUICE_CLANG}, {"clang-14", "clang-14"}})
      for (const char* name : {"xdp_lb", "xdp_pass", "backend_decap"}) {
        const auto path =
            std::filesystem::path(SLUICE_BPF_OBJECTS) / folder / (std::string(name) + ".bpf.o");
        if (!std::filesystem::exists(path))
          continue;
        measure(path, compiler, false, rows);
        if (std::string_view(name) == "xdp_lb")
          measure(path, compiler, true, rows);
      }
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  json::array all;
  std::printf("%-16s %-10s %12s %9s %8s %11s %11s %9s\n", "program", "compiler", "instructions",
              "states", "ms", "stack bytes", "translated", "jited");
  for (const auto& row : rows) {
    std::printf("%-16s %-10s %12lu %9lu %8.1f %11lu %11u %9u\n", row.program.c_str(),
                row.compiler.c_str(), row.instructions, row.states,
                static_cast<double>(row.microseconds) / 1000, row.deepest, row.translated,
                row.jited);
    all.push_back(json::object{{"program", row.program},
                               {"compiler", row.compiler},
                               {"instructions", row.instructions},
                               {"states", row.states},
                               {"microseconds", row.microseconds},
                               {"stackBytes", row.deepest},
                               {"translatedBytes", row.translated},
                               {"jitedBytes", row.jited}});
  }
  if (!file.empty())
    std::ofstream(file) << json::serialize(all) << "\n";
}
