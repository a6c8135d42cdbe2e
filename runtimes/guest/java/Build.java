// Compiles a submission and packs it, in one JVM: run as
//
//     java Build.java ARTEFACT SOURCE...
//
// A public class need not stand in a file of its name, as `javac` would have
// it: a submission that comes as bare code has no file name. The class to start
// with is the one that has a main method; of several the one that is called as
// its file, then the first.
//
// Ends with 1 when the source is wrong, and with 3 when something else is: only
// the first is remembered.

import com.sun.source.util.JavacTask;
import com.sun.source.util.TaskEvent;
import com.sun.source.util.TaskListener;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.lang.model.element.ExecutableElement;
import javax.lang.model.element.Modifier;
import javax.lang.model.element.TypeElement;
import javax.lang.model.type.TypeKind;
import javax.lang.model.util.ElementFilter;
import javax.lang.model.util.Elements;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

final class Build {
    /** A source whose name is no matter. */
    static final class Source extends SimpleJavaFileObject {
        private final String path;
        private final String text;

        Source(int number, String path) throws IOException {
            super(URI.create("string:///" + number + "/Source.java"), Kind.SOURCE);
            this.path = path;
            this.text = Files.readString(Path.of(path), StandardCharsets.UTF_8);
        }

        @Override
        public String getName() {
            return path;
        }

        @Override
        public boolean isNameCompatible(String simpleName, Kind kind) {
            // module-info and package-info are other things than classes.
            return !simpleName.endsWith("-info") || simpleName.equals(stem());
        }

        @Override
        public CharSequence getCharContent(boolean ignoreErrors) {
            return text;
        }

        /** The name without directories and extension. */
        String stem() {
            String last = path.substring(path.lastIndexOf('/') + 1);
            return last.substring(0, last.lastIndexOf('.'));
        }
    }

    /** Classes that can be started, in the order in which javac meets them. */
    static final class Mains implements TaskListener {
        /** Their names as the JVM has them, by their own names. */
        final Map<String, String> found = new LinkedHashMap<>();
        private final Elements elements;

        Mains(Elements elements) {
            this.elements = elements;
        }

        @Override
        public void finished(TaskEvent event) {
            if (event.getKind() == TaskEvent.Kind.ANALYZE && event.getTypeElement() != null) {
                look(event.getTypeElement());
            }
        }

        private void look(TypeElement type) {
            if (ElementFilter.methodsIn(type.getEnclosedElements()).stream().anyMatch(Mains::isMain)) {
                String own = type.getSimpleName().toString();
                found.putIfAbsent(own, elements.getBinaryName(type).toString());
            }
            ElementFilter.typesIn(type.getEnclosedElements()).forEach(this::look);
        }

        private static boolean isMain(ExecutableElement method) {
            boolean named = method.getSimpleName().contentEquals("main")
                    && method.getReturnType().getKind() == TypeKind.VOID;
            int parameters = method.getParameters().size();
            boolean texts = parameters == 1
                    && method.getParameters().get(0).asType().toString().equals("java.lang.String[]");
            Set<Modifier> is = method.getModifiers();
            if (Runtime.version().feature() >= 25) {
                return named && !is.contains(Modifier.PRIVATE) && (texts || parameters == 0);
            }
            return named && texts && is.containsAll(Set.of(Modifier.PUBLIC, Modifier.STATIC));
        }
    }

    public static void main(String[] args) {
        int status = 3;
        try {
            status = build(args[0], List.of(args).subList(1, args.length));
        } catch (Throwable thrown) {
            System.err.println("the compiler failed: " + thrown);
        }
        System.exit(status);
    }

    private static int build(String artefact, List<String> paths) throws IOException {
        List<Source> sources = new ArrayList<>();
        for (String path : paths) {
            try {
                sources.add(new Source(sources.size(), path));
            } catch (java.nio.charset.CharacterCodingException wrong) {
                System.err.println(path + ": error: it is not UTF-8");
                return 1;
            }
        }
        if (sources.isEmpty()) {
            System.err.println("error: there is no .java file");
            return 1;
        }
        String classes = Files.createTempDirectory("classes").toString();
        // Nothing of the submission runs here: no annotation processors.
        var options = List.of("-proc:none", "-d", classes, "-cp", classes);
        var compiler = ToolProvider.getSystemJavaCompiler();
        try (var files = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8)) {
            var task = (JavacTask) compiler.getTask(null, files, null, options, null, sources);
            var mains = new Mains(task.getElements());
            task.addTaskListener(mains);
            if (!task.call()) {
                return 1;
            }
            if (mains.found.isEmpty()) {
                System.err.println("error: no class has a main method");
                return 1;
            }
            var named = sources.stream().map(Source::stem).filter(mains.found::containsKey);
            String first = mains.found.keySet().iterator().next();
            String start = mains.found.get(named.findFirst().orElse(first));
            pack(Path.of(artefact), Path.of(classes), start);
        }
        return 0;
    }

    /** Packs classes, the same bytes for the same classes. */
    private static void pack(Path artefact, Path classes, String start) throws IOException {
        var about = new Manifest();
        about.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        about.getMainAttributes().put(Attributes.Name.MAIN_CLASS, start);
        try (var jar = new ZipOutputStream(Files.newOutputStream(artefact));
                var tree = Files.walk(classes)) {
            jar.setLevel(1);
            jar.putNextEntry(entry(JarFile.MANIFEST_NAME));
            about.write(jar);
            for (Path file : tree.filter(Files::isRegularFile).sorted().toList()) {
                jar.putNextEntry(entry(classes.relativize(file).toString()));
                Files.copy(file, jar);
            }
        }
    }

    private static ZipEntry entry(String name) {
        var entry = new ZipEntry(name);
        entry.setTimeLocal(LocalDateTime.of(2020, 1, 1, 0, 0));
        return entry;
    }
}
