#include "cli/completion.hpp"

#include <CLI/CLI.hpp>

namespace sluice::cli {

namespace {

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
    words += command->get_name() + " ";
  for (const auto* option : app.get_options())
    for (const auto& name : option->get_lnames())
      words += "--" + name + " ";
  return words;
}

/// One case for each command: what may follow it.
void add_cases(const CLI::App& app, const std::string& path, std::string& cases) {
  cases += "    '" + path + "') words='" + words_of(app) + "' ;;\n";
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
    add_cases(*command, path + (path.empty() ? "" : " ") + command->get_name(), cases);
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string cases;
  add_cases(app, "", cases);
  return "# bash completion of sluicectl; made by: sluicectl completion bash\n"
         "_sluicectl() {\n"
         "  local path='' word words i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    word=${COMP_WORDS[i]}\n"
         "    [[ $word == -* ]] || path=\"${path:+$path }$word\"\n"
         "  done\n"
         "  case $path in\n" +
         cases +
         "    *) words='' ;;\n"
         "  esac\n"
         "  if [ -n \"$words\" ]; then\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
         "  else\n"
         "    mapfile -t COMPREPLY < <(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
         "  fi\n"
         "}\n"
         "complete -F _sluicectl sluicectl\n";
}

}  // namespace sluice::cli
