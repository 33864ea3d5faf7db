import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileTemplate } from './template.ts';

const data = {
  Name: '/web',
  Id: '0123456789abcdef',
  Config: { Cmd: ['sh', '-c'], Labels: { b: '2', a: '1' }, Tty: false, Env: null },
  State: { Running: true, ExitCode: 0 },
  NetworkSettings: { Networks: { one: { IPAddress: '10.0.0.1' }, two: { IPAddress: '10.0.0.2' } } },
  Mounts: [],
};

test('templates as scripts use them', () => {
  const cases: [string, string][] = [
    ['{{.Name}}', '/web'],
    ['{{ .State.Running }} {{.State.ExitCode}}', 'true 0'],
    ['{{json .Config.Cmd}}', '["sh","-c"]'],
    ['{{.Config.Cmd}}', '[sh -c]'],
    ['{{.Config.Labels}}', 'map[a:1 b:2]'],
    ['{{.Config.Env}}', '<no value>'],
    ['{{index .Config.Labels "a"}}', '1'],
    ['{{index .Config.Labels "none"}}', ''],
    ['{{.Config.Labels.none}}', '<no value>'],
    ['{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}', '10.0.0.1 10.0.0.2 '],
    [
      '{{range $name, $net := .NetworkSettings.Networks}}{{$name}}={{$net.IPAddress}};{{end}}',
      'one=10.0.0.1;two=10.0.0.2;',
    ],
    ['{{range $at, $word := .Config.Cmd}}{{$at}}:{{$word}},{{end}}', '0:sh,1:-c,'],
    ['{{range .Mounts}}x{{else}}none{{end}}', 'none'],
    ['{{if .State.Running}}up{{else}}down{{end}}', 'up'],
    ['{{if eq .State.ExitCode 1}}one{{else if .State.Running}}run{{else}}no{{end}}', 'run'],
    ['{{with .Config}}{{.Tty}} {{$.Name}}{{end}}', 'false /web'],
    ['{{join .Config.Cmd "+"}} {{.Name | upper}} {{len .Config.Cmd}}', 'sh+-c /WEB 2'],
    ['{{slice .Id 0 4}} {{truncate .Id 3}}', '0123 012'],
    ['{{printf "%s-%d %q" .Name 5 "x"}}', '/web-5 "x"'],
    ['{{(index .NetworkSettings.Networks "one").IPAddress}}', '10.0.0.1'],
    ['{{$x := .Name}}{{$x}}', '/web'],
    ['a {{- " b " -}} c', 'a b c'],
    ['{{/* nothing */}}{{"}}"}}', '}}'],
    ['{{if and .State.Running (not .Config.Tty)}}y{{end}}', 'y'],
    ['{{.Name}}\\t{{.Id}}', '/web\t0123456789abcdef'],
  ];
  for (const [template, text] of cases) assert.equal(compileTemplate(template)(data), text, template);
});

test('templates that are wrong say so', () => {
  const cases: [string, RegExp][] = [
    ['{{.Nope}}', /map has no entry for key "Nope"/],
    ['{{.Name', /unclosed action/],
    ['{{range .Mounts}}', /unexpected EOF/],
    ['{{end}}', /unexpected \{\{end\}\}/],
    ['{{nope .Name}}', /function "nope" not defined/],
    ['{{(.Name}}', /unclosed left paren/],
    ['{{}}', /missing value/],
  ];
  for (const [template, message] of cases) assert.throws(() => compileTemplate(template)(data), message, template);
});
