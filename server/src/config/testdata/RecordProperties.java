import java.io.StringReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;

/**
 * Records what java.util.Properties makes of texts that are full of its special characters.
 * Run: java RecordProperties.java > properties.txt
 *
 * One case per line, fields separated by a tab: the text, then key and value of each entry in
 * order of their keys, or the word "error". A character outside [A-Za-z0-9=:#!.] is written %XXXX.
 */
public class RecordProperties {
    static final String[] PIECES = {
        "a", "b", "clientPort", "dataDir", "=", "=", ":", " ", " ", "\t", "\f", "\\", "\\", "\n", "\n",
        "\r", "\r\n", "#", "!", "\\n", "\\t", "\\r", "\\f", "\\u0041", "\\u00e9", "\\ud83d\\ude00",
        "\\u12", "\\\\", "\\=", "\\:", "\\ ", "\\#", "\\\n", "\\\r\n", "\\\n  ", "\u00e9", "\u4e2d", "2181", "."
    };

    static String escape(String text) {
        StringBuilder out = new StringBuilder();
        for (char c : text.toCharArray()) {
            boolean plain = c < 128 && (Character.isLetterOrDigit(c) || "=:#!.".indexOf(c) >= 0);
            out.append(plain ? String.valueOf(c) : String.format("%%%04x", (int) c));
        }
        return out.toString();
    }

    public static void main(String[] args) throws Exception {
        Random random = new Random(42);
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < 600; i++) {
            StringBuilder text = new StringBuilder();
            int count = 1 + random.nextInt(14);
            for (int j = 0; j < count; j++) {
                text.append(PIECES[random.nextInt(PIECES.length)]);
            }
            texts.add(text.toString());
        }
        for (String text : texts) {
            StringBuilder line = new StringBuilder(escape(text));
            try {
                Properties properties = new Properties();
                properties.load(new StringReader(text));
                properties.stringPropertyNames().stream().sorted().forEach(key ->
                    line.append('\t').append(escape(key)).append('\t').append(escape(properties.getProperty(key))));
            } catch (IllegalArgumentException e) {
                line.append("\terror");
            }
            System.out.println(line);
        }
    }
}
