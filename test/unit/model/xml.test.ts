/** XML of strangers: what of it is read, and what is refused with a word on why and where. */
import { describe, expect, it } from 'vitest';
import { BranchboxError } from '../../../src/model/errors.ts';
import { parseXml, type XmlElement } from '../../../src/model/xml.ts';

const read = (document: string, maxChars = 10_000): XmlElement =>
  parseXml(document, 'The document', maxChars);
/** `{namespace}name(children)` or `{namespace}name=text`. */
const shown = ({ namespace, name, children, text }: XmlElement): string =>
  `{${namespace}}${name}${children.length > 0 ? `(${children.map(shown).join(' ')})` : `=${text}`}`;

describe('a document', () => {
  it.each([
    ['<a/>', '{}a='],
    ['\uFEFF<?xml version="1.0" encoding="utf-8" standalone=\'yes\'?>\r\n<a >x</a >\n', '{}a=x'],
    ['<!-- a --><a><!--b-->x<!-- c -->y</a><!-- d -->', '{}a=xy'],
    ['<a>\n <b/>\r\n <c>1</c>\n</a>', '{}a({}b= {}c=1)'],
    ['<a xmlns="urn:x"><b xmlns=""/><c/></a>', '{urn:x}a({}b= {urn:x}c=)'],
    ['<p:a xmlns:p="urn:x"><b/><p:c xmlns:p="urn:y"/><p:d/></p:a>', '{urn:x}a({}b= {urn:y}c= {urn:x}d=)'],
    [
      '<a x="1" y=\'2 > 1\' xml:lang="en">&lt;&gt;&amp;&quot;&apos;&#65;&#x1F600;</a>',
      '{}a=<>&"\'A\u{1F600}',
    ],
    ['<a><![CDATA[<b>&amp;]]]]><![CDATA[>]]></a>', '{}a=<b>&amp;]]>'],
    ['<a>a\r\nb\rc&#13;</a>', '{}a=a\nb\nc\r'],
    ['<__proto__><constructor/></__proto__>', '{}__proto__({}constructor=)'],
  ])('is read: %j', (document, tree) => expect(shown(read(document))).toBe(tree));

  it('tells of a value which namespaces its prefixes are', () => {
    const root = read('<a xmlns="urn:x" xmlns:p="urn:y"><b xmlns:q="urn:z">p:c</b></a>');
    expect([...(root.children[0]?.prefixes ?? [])]).toEqual(
      expect.arrayContaining([
        ['', 'urn:x'],
        ['p', 'urn:y'],
        ['q', 'urn:z'],
      ]),
    );
  });

  it.each([
    ['', 'no element'],
    ['text', 'no element'],
    ['<a>', 'a is not ended'],
    ['<a></b>', 'a is not ended'],
    ['<a><b></a></b>', 'b is not ended'],
    ['<a/><b/>', 'behind its root'],
    ['<a/>x', 'behind its root'],
    ['<a', 'does not end'],
    ['<a x=1/>', 'does not end'],
    ['<a x="<"/>', 'does not end'],
    ['<a x="1" x="2"/>', 'twice'],
    ['<a><b/>text</a>', 'beside elements'],
    ['<ä/>', 'no element'],
    ['<a:b/>', 'prefix is not declared'],
    ['<a b:c="1"/>', 'prefix is not declared'],
    ['<a xmlns:b=""/>', 'of no namespace'],
    ['<a xmlns:xml="urn:x"/>', 'of no namespace'],
    ['<a>&nbsp;</a>', 'none of the five'],
    ['<a>& b</a>', 'none of the five'],
    ['<a>&#0;</a>', 'none of the five'],
    ['<a>&#xD800;</a>', 'none of the five'],
    ['<a>&#x110000;</a>', 'none of the five'],
    ['<a b="&x;"/>', 'none of the five'],
    ['<a>\u0007</a>', 'character that XML has not'],
    ['<a>\uFFFE</a>', 'character that XML has not'],
    ['<a>]]></a>', 'text holds ]]>'],
    ['<a><!-- a -- b --></a>', 'two dashes'],
    ['<a><!-- a', 'there is no -->'],
    ['<a><![CDATA[x</a>', 'there is no ]]>'],
    ['<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 'of a kind that is not read'],
    ['<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', 'of a kind that is not read'],
    ['<?xml-stylesheet href="x"?><a/>', 'its declaration is none'],
    ['<a><?php x ?></a>', 'of a kind that is not read'],
    ['<?xml version="1.0" encoding="UTF-16"?><a/>', 'not in UTF-8'],
    ['<?xml version="2.0"?><a/>', 'its declaration is none'],
    [`${'<a>'.repeat(33)}${'</a>'.repeat(33)}`, 'nested deeper than 32'],
    [`<a>${'<b/>'.repeat(4096)}</a>`, 'more than 4096 elements', 100_000],
    [`<a ${Array.from({ length: 33 }, (_, at) => `b${at}="" `).join('')}/>`, 'more than 32 attributes'],
    [
      Array.from(
        { length: 5 },
        (_, depth) =>
          `<a ${Array.from({ length: 20 }, (__, at) => `xmlns:p${depth}-${at}="urn:x" `).join('')}>`,
      ).join(''),
      'more than 64 prefixes',
    ],
    [`<a>${'x'.repeat(20_000)}</a>`, 'larger than 10000'],
  ])('is refused: %.60j', (document, why, maxChars = 10_000) => {
    let problem: unknown;
    try {
      read(document, maxChars);
    } catch (thrown) {
      problem = thrown;
    }
    expect(problem).toBeInstanceOf(BranchboxError);
    expect(problem).toMatchObject({ code: 'model/invalid', message: expect.stringContaining(why) });
  });

  it('is refused by the line that is wrong', () => {
    expect(() => read('<a>\n<b>\r\n</c></a>')).toThrow('b is not ended, in line 3');
  });
});
